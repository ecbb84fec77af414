"""Where people look, written without ever waiting for them."""

import os
import select
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TextIO

from dsi import client

_KEPT_CHARS: Final = 4 << 20
"""How much is kept for a reader that has stopped: some ten thousand lines."""


def nobody_reads() -> bool:
    """Tell whether standard output or standard error is a pipe that nobody reads any more."""
    outputs = select.poll()
    for output in (1, 2):
        outputs.register(output, 0)  # what has gone wrong is told unasked
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in outputs.poll(0))


class Terminal:
    """Standard error, as a file for rich.

    A terminal that was stopped (Ctrl-S), a pager or a pipe whose reader sleeps takes nothing more: who writes there
    waits. In a test nobody may wait for that, least of all the dsisocket: `without_waiting()`.
    """

    def __init__(self) -> None:
        self._writer: _Writer | None = None

    @property
    def encoding(self) -> str:
        """The characters that can be shown."""
        return self._file.encoding

    def isatty(self) -> bool:
        """Give whether a person sits there."""
        return self._file.isatty()

    def fileno(self) -> int:
        """Give the file descriptor.

        Raises:
            OSError: there is none.
        """
        return self._file.fileno()

    def write(self, text: str) -> int:
        """Write, or have it written."""
        if self._writer is None:
            with self._whose_reader_may_be_gone() as file:
                file.write(text)
        else:
            self._writer.add(text)
        return len(text)

    def flush(self) -> None:
        """See to it that what was written can be seen; the writer does so by itself."""
        if self._writer is None:
            with self._whose_reader_may_be_gone() as file:
                file.flush()

    @contextmanager
    def without_waiting(self) -> Iterator[None]:
        """Have what is written in this block kept while nobody takes it; at the end wait until it was taken."""
        self.flush()
        self._writer = _Writer(self._file)
        try:
            yield
        finally:
            writer, self._writer = self._writer, None
            writer.close()

    @contextmanager
    def _whose_reader_may_be_gone(self) -> Iterator[TextIO]:
        """Give standard error; where nobody reads it any more (`dsi run 2>&1 | head`) the rest goes nowhere.

        That is no reason to leave undone what comes next, nor to end with another exit status.
        """
        try:
            yield self._file
        except BrokenPipeError:
            client.pipe_closed(self._file)

    @property
    def _file(self) -> TextIO:
        # While rich has a display it puts a file of its own in the place of standard error, which writes to us.
        file: TextIO = getattr(sys.stderr, "rich_proxied_file", sys.stderr)
        return file


class _Writer:
    """Writes from a thread of its own: a write to a terminal can't be made not to wait without changing that terminal
    for every other program there. It touches nothing but this file.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._texts: deque[str] = deque()
        self._kept_chars = 0
        self._lost_lines = 0
        self._over = False
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._write_all, name="dsi-terminal", daemon=True)
        self._thread.start()

    def add(self, text: str) -> None:
        """Have this written; what is too much to be kept is counted."""
        with self._change:
            if self._lost_lines or self._kept_chars + len(text) > _KEPT_CHARS:
                self._lost_lines += text.count("\n")
                return
            self._texts.append(text)
            self._kept_chars += len(text)
            self._change.notify()

    def close(self) -> None:
        """Wait until all is written."""
        with self._change:
            self._over = True
            self._change.notify()
        self._thread.join()

    def _write_all(self) -> None:
        while text := self._next():
            try:
                self._write(text)
            except OSError:
                return  # nobody will read this any more; that is no reason to end a test

    def _next(self) -> str:
        """Wait for text, and take all there is; "" at the end."""
        with self._change:
            self._change.wait_for(lambda: self._texts or self._over)
            if self._lost_lines:
                self._texts.append(f"… {self._lost_lines} lines are missing here: this output was not being read\n")
            text = "".join(self._texts)
            self._texts.clear()
            self._kept_chars = self._lost_lines = 0
        return text

    def _write(self, text: str) -> None:
        """Write past the file's buffer, whose lock a thread that waits would hold when Python ends."""
        rest = memoryview(text.encode(self._file.encoding, self._file.errors or "backslashreplace"))
        while rest:
            rest = rest[os.write(self._file.fileno(), rest) :]
