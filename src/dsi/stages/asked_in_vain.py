"""Restarts and faults that clients of the dsisocket asked for, and that did not take effect."""

import json
from collections import Counter
from typing import Any, Final

from dsi.commands import disturbs
from dsi.errors import NoEffect
from dsi.wire import Outcome

_COMMAND_CHARS: Final = 200
_MESSAGE_CHARS: Final = 1_000
"""How much of a command, and of what came of it, a reason has: it is a line of a table."""

_MOST: Final = 20
"""How many are told apart: a workload may ask in an endless loop."""


class AskedInVain:
    """Those of one test. A client may have asked again, and got it then: that is not for us to judge."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, value: Any, outcome: Outcome) -> None:
        """Hear of a command that wasn't done (`control.OnFailure`)."""
        if not disturbs(value):
            return
        text = f"{json.dumps(value)[:_COMMAND_CHARS]}, asked for over the dsisocket: {outcome.message[:_MESSAGE_CHARS]}"
        self._counts[text if text in self._counts or len(self._counts) < _MOST else "… and others"] += 1

    def take(self) -> list[NoEffect]:
        """Give them, and begin anew."""
        counts, self._counts = self._counts, Counter()
        return [NoEffect(text if count == 1 else f"{text} ({count} times)") for text, count in counts.items()]
