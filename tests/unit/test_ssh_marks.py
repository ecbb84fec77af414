"""Marks in a session's output, however the bytes arrive."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsi.hosts._ssh_session import Ended, Marked

MARK = "aab0"


class Arriving:
    """A reader that gives these blocks, then the end."""

    def __init__(self, blocks: list[bytes]) -> None:
        self._blocks = list(blocks)

    async def read(self, n: int = -1, /) -> bytes:
        return self._blocks.pop(0) if self._blocks else b""


async def section(stream: Marked, mark: str = MARK) -> list[bytes]:
    reader = stream.until(mark)
    blocks = []
    while block := await reader.read():
        blocks.append(block)
    return blocks


def cut(content: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(content) + 1) for place in places}), len(content)]
    return [content[a:b] for a, b in itertools.pairwise(edges) if a < b]


@given(
    st.text("ab0c\0").filter(lambda text: MARK not in text + MARK[:-1]), st.lists(st.integers(min_value=0), max_size=8)
)
async def test_however_it_is_cut(text: str, places: list[int]) -> None:
    """What comes before the mark, the line behind it, and what comes after are told apart at any cut."""
    stream = Marked(Arriving(cut(f"{text}{MARK} 17\nrest|\n".encode(), places)))
    assert b"".join(await section(stream)) == text.encode()
    assert stream.line == b" 17"
    assert b"".join(await section(stream, "|")) == b"rest"


@pytest.mark.parametrize("size", range(1, 12))
async def test_blocks_of_any_size(size: int) -> None:
    """A mark that is spread over blocks is found, and a beginning of it that isn't one comes through."""
    content = b"aaab1aab" + b"aaab0 left\nnext"
    blocks = [content[at : at + size] for at in range(0, len(content), size)]
    stream = Marked(Arriving(blocks))
    assert b"".join(await section(stream)) == b"aaab1aaba"
    assert stream.line == b" left"


async def test_only_what_may_be_a_mark_is_held_back() -> None:
    """All but the beginning of a mark is handed on at once."""
    stream = Marked(Arriving([b"prompt: aa", b"c"]))
    reader = stream.until(MARK)
    assert await reader.read() == b"prompt: "
    assert await reader.read() == b"aac"


async def test_the_end_in_the_middle() -> None:
    """A session that ends before the mark is told from one that says it."""
    with pytest.raises(Ended):
        await section(Marked(Arriving([b"some aab"])))
