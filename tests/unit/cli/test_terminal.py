"""What is written for people, while nobody takes it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import BinaryIO

import pytest

from dsi.cli.terminal import Terminal

LINE = "x" * 1023 + "\n"


@contextmanager
def standard_error(monkeypatch: pytest.MonkeyPatch) -> Iterator[BinaryIO]:
    """Give the other end of standard error. (No fixture: pytest sets it anew when the test itself begins.)"""
    reading, writing = os.pipe()
    with (
        os.fdopen(reading, "rb") as reader,
        os.fdopen(writing, "w", encoding="ascii", errors="backslashreplace") as file,
    ):
        monkeypatch.setattr(sys, "stderr", file)
        yield reader


def test_nobody_waits_for_a_reader_that_sleeps_and_it_gets_all_when_it_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    with standard_error(monkeypatch) as reader:
        terminal = Terminal()
        woken = Thread(target=lambda: got.append(reader.read(1024 * 1024)))
        got: list[bytes] = []
        with terminal.without_waiting():
            for _ in range(1024):  # a pipe takes 64 of them
                terminal.write(LINE)
            woken.start()
        woken.join()
        assert got == [LINE.encode() * 1024]


def test_what_is_too_much_to_be_kept_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    with standard_error(monkeypatch) as reader:
        terminal = Terminal()
        got: list[bytes] = []
        woken = Thread(target=lambda: got.extend(iter(reader.readline, b"after\n")))
        with terminal.without_waiting():
            for _ in range(10_000):
                terminal.write(LINE)
            woken.start()
        terminal.write("after\n")
        terminal.flush()
        woken.join()
        missing = [line for line in got if line != LINE.encode()]
        assert missing
        assert len(got) - len(missing) + sum(int(line.split()[1]) for line in missing) == 10_000


def test_a_reader_that_is_gone_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with standard_error(monkeypatch) as reader:
        terminal = Terminal()
        reader.close()
        with terminal.without_waiting():
            for _ in range(100):
                terminal.write(LINE)


def test_what_it_has_no_characters_for_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    with standard_error(monkeypatch) as reader:
        terminal = Terminal()
        with terminal.without_waiting():
            terminal.write("… ü\n")
        assert reader.readline() == b"\\u2026 \\xfc\n"
