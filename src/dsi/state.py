"""What a work directory remembers between two dsi processes: its `.dsi/` folder, which only its owner can read.

Everything that dsi leaves on this machine while it runs lies in there, and all of it is JSON that a person can read.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dsi.errors import StateError
from dsi.whole_file import write_whole


class State:
    """The `.dsi/` folder of one work directory."""

    def __init__(self, work_directory: Path) -> None:
        self.work_directory = work_directory.resolve()
        self.folder = self.work_directory / ".dsi"

    def make_folder(self) -> Path:
        """Make the folder if need be, and give it."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.folder.chmod(0o700)  # it may have been there
        return self.folder

    def read(self, name: str) -> Any:
        """Give what was written under this name; None if nothing was.

        Raises:
            StateError: the file is there, but is no JSON.

        """
        path = self.folder / f"{name}.json"
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as problem:
            raise StateError(f"{path} is no JSON any more ({problem}); run `dsi teardown`, or delete it") from problem

    def write(self, name: str, value: Any, *, durable: bool = False) -> None:
        """Keep a JSON value under this name; readers see the old one or the new, never half of it.

        `durable`: it is on the disk when this returns, and outlives this machine's crash.

        Raises:
            StateError: it can't be written: the disk is full, say.

        """
        path = self.make_folder() / f"{name}.json"
        try:
            # For its owner alone, also where somebody has opened the folder: secrets are kept here, too.
            write_whole(path, (json.dumps(value, indent=1) + "\n").encode(), mode=0o600, durable=durable)
        except OSError as problem:
            raise StateError(f"{path} can't be written: {problem.strerror}") from problem

    def forget(self, name: str) -> None:
        """Remove what was written under this name, if anything was."""
        (self.folder / f"{name}.json").unlink(missing_ok=True)

    def is_locked(self) -> bool:
        """Tell whether a dsi is at work in the work directory."""
        try:
            file = (self.folder / "lock").open("rb")
        except FileNotFoundError:
            return False
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the work directory: one dsi at a time changes what runs there. A dead holder's lock is free.

        Raises:
            StateError: another dsi holds it; the message has its pid.

        """
        path = self.make_folder() / "lock"
        with path.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as problem:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise StateError(
                    f"another dsi (process {holder}) is working in {self.work_directory}: wait for it, or end it"
                ) from problem
            # By os.write: a full disk makes the pid unknown to others, and leaves nothing in a buffer to fail later.
            os.ftruncate(file.fileno(), 0)
            with suppress(OSError):
                os.write(file.fileno(), f"{os.getpid()}\n".encode())
            yield
