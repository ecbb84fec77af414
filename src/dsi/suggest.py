"""What somebody may have meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def closest(word: str, known: Iterable[str]) -> str | None:
    """Give the known word that is most like this one; None where none is."""
    return next(iter(get_close_matches(word, list(known), n=1, cutoff=0.6)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give ` (did you mean "…"?)`, to be put behind a message; empty where nothing is near."""
    match = closest(word, known)
    return f' (did you mean "{match}"?)' if match else ""
