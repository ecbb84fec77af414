"""What is found out about a test as it goes on, and the verdict at its end."""

from dsi.errors import DsiError, SeveralFailed, sentence_of
from dsi.runner.outcome import PRECEDENCE, Status, status_of


class Findings:
    """What went wrong with one test, in the order in which it was found.

    Each is one line. The last lines of a server's log, which an error may have below (indented), are kept apart, once.
    """

    def __init__(self) -> None:
        self.log_lines: list[str] = []
        self._found: list[tuple[Status, str]] = []
        self._not_tried: list[str] = []
        self._notes: list[str] = []

    def add(self, status: Status, reason: str) -> None:
        """Take note of what went wrong. What comes after an interrupt can come from it, and is a note."""
        if self.is_cancelled:
            self.note(reason)
        elif (status, sentence := self._sentence(reason)) not in self._found:
            self._found.append((status, sentence))

    def add_problem(self, problem: DsiError, otherwise: Status) -> None:
        """Take note of an error, of several in one each for itself; `otherwise` is what it means if it doesn't say."""
        for error in problem.errors if isinstance(problem, SeveralFailed) else (problem,):
            self.add(status_of(error, otherwise), str(error))

    def add_not_tried(self, reason: str) -> None:
        """Take note of a restart or fault that was asked for and never begun.

        It makes the test invalid if nothing else is wrong: it can't be why `cmd` failed.
        """
        self._not_tried.append(self._sentence(reason))

    def cancel(self, exit_status: int | None) -> None:
        """Take note that the test was interrupted, once. `exit_status` is that of `cmd`; None: it had not ended."""
        when = "before cmd had ended" if exit_status is None else f"after cmd (exit status {exit_status})"
        if not self.is_cancelled:
            self.add("cancelled", f"interrupted by the user {when}")

    def note(self, text: str) -> None:
        """Take note of what is worth saying, and fails nothing."""
        self._notes.append(self._sentence(text))

    @property
    def is_cancelled(self) -> bool:
        """Whether the test was interrupted."""
        return any(status == "cancelled" for status, _ in self._found)

    @property
    def status(self) -> Status:
        """How the test ends, as far as is known by now."""
        if not self._found:
            return "invalid" if self._not_tried else "passed"
        return min((status for status, _ in self._found), key=PRECEDENCE.index)

    def _sentence(self, text: str) -> str:
        return sentence_of(text, self.log_lines)

    def verdict(self) -> tuple[Status, str, tuple[str, ...]]:
        """Give status, reason and notes. Of what went wrong in the same way the first is the reason."""
        reasons = [reason for _, reason in sorted(self._found, key=lambda found: PRECEDENCE.index(found[0]))]
        reason, *rest = [*reasons, *self._not_tried] or [""]
        return self.status, reason, (*rest, *self._notes)
