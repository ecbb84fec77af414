"""Who may speak: a connection that has shown the token, where there is one."""

import hmac
from typing import Final

from dsi.wire import Code, Envelope, Outcome

MAX_WRONG_TRIES = 3
"""Then the connection is closed: a token isn't guessed in three tries, and each further three cost a new connection."""

MAX_LINE_BYTES: Final = 4096
"""Until the token was shown: a line with a token is far shorter, and who has none shall not fill the memory."""

TOKEN_WITHIN_S: Final = 10.0
"""How long a connection may stay without having shown the token: programs show it at once, people paste it."""

_BEGIN = 'begin with {"auth": "…"} (DSI_SOCKET_TOKEN)'
_SHOW_IT = Outcome(code=Code.UNAUTHORIZED, message=f"This connection has not shown the token: {_BEGIN}")
TOO_LATE: Final = Outcome(
    code=Code.UNAUTHORIZED, message=f"This connection has not shown the token in time, and is closed: {_BEGIN}"
)
TOO_MANY: Final = Outcome(
    code=Code.UNAUTHORIZED,
    message=f"This connection has not shown the token, sends and reads no replies, and is closed: {_BEGIN}",
)
MAKES_ROOM: Final = Outcome(
    code=Code.UNAUTHORIZED,
    message="This connection has not shown the token, and is closed to make room for another: as many are open as "
    "test_control.dsisocket.max_connections allows",
)
_WRONG = Outcome(
    code=Code.UNAUTHORIZED, message="This is not the token: the environment of cmd has it, as DSI_SOCKET_TOKEN"
)


class Gate:
    """One connection's. `token` None: everybody may pass. `journal` names that of the test's retry_ids."""

    def __init__(self, token: str | None, journal: str) -> None:
        self._token = token
        self._journal = journal
        self._tries = 0
        self._is_open = token is None

    @property
    def is_open(self) -> bool:
        """Whether the token was shown, or none is asked for."""
        return self._is_open

    @property
    def is_closed(self) -> bool:
        """Whether there were too many wrong tries: the connection is to be closed."""
        return self._tries >= MAX_WRONG_TRIES

    @property
    def refusal(self) -> Outcome | None:
        """What every line is answered until the token was shown; None: it was."""
        return None if self._is_open else _SHOW_IT

    def malformed(self, reason: str) -> Outcome:
        """Give what a line that is no JSON is answered."""
        if self._is_open:
            return Outcome(code=Code.JSON_ERROR, message=reason)
        return Outcome(code=Code.UNAUTHORIZED, message=f"{_SHOW_IT.message}. This line is no JSON: {reason}")

    def pass_through(self, envelope: Envelope) -> Outcome | None:
        """Give the answer where there is nothing more to be done for a line; None: it may be done."""
        if envelope.control == "auth":
            return self._show(envelope.command["auth"], envelope)
        return self.refusal

    def _show(self, token: str, envelope: Envelope) -> Outcome:
        """Compare in a time that says nothing about how much of it was right."""
        if self._token is None or hmac.compare_digest(token.encode(errors="replace"), self._token.encode()):
            self._is_open = True
            return Outcome(code=Code.OK, description=None if envelope.id is None else {"journal": self._journal})
        self._tries += 1
        return _WRONG
