"""Bytes of any kind and size → lines of text, one after another."""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final

MAX_LINE_BYTES: Final = 16 << 20
"""What is longer is cut: output without newlines must not fill the memory. The longest that is wanted is JSON in one
line."""

_HEAD_BYTES: Final = 1000

_CONTROL_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;:?<=>]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_()][0-9A-Z]?)")
"""What a terminal takes as colour, movement or title: ECMA-48, 5.4; xterm's `ESC ]`."""


class Lines:
    """The lines of one file, read anew each time one goes over them. `number` is that of the last one given, from 1.

    What begins as UTF-16 is read as that; else a byte that is no UTF-8 becomes U+FFFD. CRLF ends a line, colours are
    left out. What is written over (a carriage return alone) is a line of its own with the same number.
    """

    def __init__(self, name: str, blocks: Callable[[], Iterable[bytes]]) -> None:
        self.name = name
        self.number = 0
        self._blocks = blocks

    def __iter__(self) -> Iterator[str]:
        """Give the lines without their ends."""
        self.number = 0
        for text in _whole_lines(_as_utf8(self._blocks())):
            for line in text.split("\n"):
                self.number += 1
                if "\r" in line:
                    yield from line.rstrip("\r").split("\r")
                else:
                    yield line

    def where(self) -> str:
        """Say where the last line stands: `test_output.log, line 12`."""
        return f"{self.name}, line {self.number:,}"


def text_lines(name: str, text: str | bytes) -> Lines:
    """Give the lines of a text in memory."""
    content = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    return Lines(name, lambda: [content])


def _as_utf8(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Give UTF-16 (of PowerShell's `>`, say) as UTF-8, and everything else as it is."""
    rest = iter(blocks)
    head = b""
    for block in rest:
        head += block
        if len(head) >= _HEAD_BYTES:
            break
    if (encoding := _utf_16(head[:_HEAD_BYTES])) is None:
        yield head
        yield from rest
        return
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for block in chain([head], rest):
        yield decoder.decode(block).encode("utf-8", "replace")


def _utf_16(head: bytes) -> str | None:
    """Tell UTF-16 by its mark, and by every other byte being 0, as it is in letters and digits."""
    for encoding, mark, zeros in (
        ("utf-16-le", codecs.BOM_UTF16_LE, head[1::2]),
        ("utf-16-be", codecs.BOM_UTF16_BE, head[::2]),
    ):
        if head.startswith(mark) and zeros.count(0) > len(zeros) // 2:
            return encoding
    return None


def _whole_lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """Give the text in pieces that end where a line ends."""
    pending: list[bytes] = []
    size = 0
    for block in blocks:
        end = block.rfind(b"\n")
        if end < 0:
            pending.append(block[: MAX_LINE_BYTES - size])
            size += len(pending[-1])
            continue
        begin = block.find(b"\n") if size >= MAX_LINE_BYTES else 0  # the rest of a line that is too long
        yield _text(b"".join([*pending, block[begin:end]]))
        pending = [block[end + 1 :]]
        size = len(pending[0])
    if last := b"".join(pending):
        yield _text(last)


def _text(content: bytes) -> str:
    text = content.decode("utf-8", "replace")
    if "\ufeff" in text:
        text = text.replace("\ufeff", "")
    return _CONTROL_SEQUENCE.sub("", text) if "\x1b" in text else text
