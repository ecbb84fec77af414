"""The numbers of a metric chunk: bytes ⇄ places and differences. Source: the server's src/mongo/db/ftdc/README.md.

Each number is a base-128 varint, the lowest seven bits first. A zero is followed by how many more zeros there are.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from dsi.ftdc.damage import Unreadable

Numbers = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

LONGEST_BYTES: Final = 10
"""Of 64 bits, seven in a byte."""


def varints(packed: bytes | memoryview) -> Numbers:
    """Give the numbers that these bytes hold.

    Raises:
        Unreadable: the last one is cut off, or one has more than 64 bits.
    """
    octets = np.frombuffer(packed, np.uint8)
    ends = np.flatnonzero(octets < 0x80)
    if ends.size == 0 or ends[-1] != octets.size - 1:
        if octets.size == 0:
            return np.empty(0, np.uint64)
        raise Unreadable("its last number is cut off")
    starts = np.empty_like(ends)
    starts[0] = 0
    starts[1:] = ends[:-1] + 1
    numbers = (octets[starts] & 0x7F).astype(np.uint64)
    longer = np.flatnonzero(ends > starts)  # most have one byte: only what is left is looked at again
    for number in range(1, LONGEST_BYTES):
        if longer.size == 0:
            return numbers
        septet = (octets[starts[longer] + number] & 0x7F).astype(np.uint64)
        numbers[longer] |= septet << np.uint64(7 * number)
        longer = longer[ends[longer] > starts[longer] + number]
    if longer.size:
        raise Unreadable(f"a number in it has more than {LONGEST_BYTES} bytes")
    return numbers


def differences(numbers: Numbers, count: int) -> tuple[Places, Numbers]:
    """Give the places (0 to count - 1, ascending) of all differences that aren't zero, and these.

    Raises:
        Unreadable: there are more or fewer than `count`.
    """
    runs = _runs(numbers)
    lengths = runs + 1
    if lengths.size and lengths[-1] == numbers.size:
        raise Unreadable("its last run of zeros has no length")
    if lengths.size and numbers[lengths].max() >= count:
        raise Unreadable(f"a run of zeros in it is longer than its {count:,} differences")
    # How many places each number takes: a difference one; of a run of zeros the first number one, the second the rest.
    taken = np.ones(numbers.size, np.int64)
    taken[lengths] = numbers[lengths]
    after = np.cumsum(taken)
    there = int(after[-1]) if numbers.size else 0
    if there != count:
        raise Unreadable(f"it has {there:,} differences instead of {count:,}")
    kept = np.ones(numbers.size, np.bool_)
    kept[runs] = kept[lengths] = False
    return after[kept] - 1, numbers[kept]


def _runs(numbers: Numbers) -> Places:
    """Give where runs of zeros begin: at the first, third, fifth … of zeros in a row; the others are lengths."""
    zeros = np.flatnonzero(numbers == 0)
    row_begins = np.ones(zeros.size, np.bool_)
    row_begins[1:] = np.diff(zeros) > 1
    order = np.arange(zeros.size)
    begin_of_row = np.maximum.accumulate(np.where(row_begins, order, 0))
    runs: Places = zeros[(order - begin_of_row) % 2 == 0]
    return runs
