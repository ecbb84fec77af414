"""Which commands somebody may use: a list of words."""

from collections.abc import Mapping, Sequence
from typing import Any

from dsi.commands.expecting import KEY
from dsi.commands.parse import COMMANDS
from dsi.commands.targets import Scope, known_targets, parse_target
from dsi.commands.verbs import HOST_VERBS
from dsi.errors import InvalidCommand
from dsi.suggest import did_you_mean


class Allowed:
    """Words: commands (restart_mongodb), targets (on_mongod) and verbs (exec). None: everything.

    A command passes if its own key is one of them, or if every verb under its target is. Another spelling of a target
    (on_md for on_mongod) is another word.
    """

    def __init__(self, words: Sequence[str] | None) -> None:
        self._words = None if words is None else frozenset(words)

    def insist(self, raw: Mapping[str, Any]) -> None:
        """See whether a command that was checked may be used.

        Raises:
            InvalidCommand: it may not.
        """
        if self._words is None:
            return
        ((key, argument),) = ((key, argument) for key, argument in raw.items() if key != KEY)
        if key in self._words:
            return
        verbs = [] if key in COMMANDS else ["exec"] if isinstance(argument, str) else list(argument)
        refused = [verb for verb in verbs if verb not in self._words]
        if refused or not verbs:
            named = f"{key}: {', '.join(refused)}" if refused else key
            raise InvalidCommand(
                f"{named}: not allowed here (test_control.dsisocket.allow); nothing was run",
                path=key,
                allowed=sorted(self._words),
            )

    def names(self, known: Sequence[str]) -> list[str]:
        """Give the words that are allowed: those of the known ones, then single hosts and other spellings."""
        if self._words is None:
            return list(known)
        return [*(word for word in known if word in self._words), *sorted(self._words.difference(known))]


def known_words(scope: Scope) -> list[str]:
    """Every word that `Allowed` can have, but for single hosts and other spellings."""
    return [*COMMANDS, *HOST_VERBS, *known_targets(scope)]


def check_words(words: Sequence[str], scope: Scope) -> None:
    """See whether each word is one.

    Raises:
        InvalidCommand: with what may have been meant.
    """
    known = known_words(scope)
    for word in words:
        if word in known:
            continue
        if not word.startswith("on_"):
            raise InvalidCommand(f'"{word}" is no command, target or verb{did_you_mean(word, known)}', allowed=known)
        parse_target(word, scope)
