"""What a test has left to be read, and where a parser looks in it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from dsi.parsers.lines import Lines
from dsi.parsers.metric import Found, Metric

Read = Callable[[Lines], Iterable[Found]]


@dataclass(frozen=True)
class Output:
    """The output of a test: its id, test_output.log, and its output files in the order of the configuration.

    `missing`: output files that were not there. `unfinished`: those of all whose last line is not given, since it may
    be cut off in the middle of a number.
    """

    test: str
    log: Lines
    files: Sequence[Lines] = ()
    missing: Sequence[str] = ()
    unfinished: Sequence[str] = ()

    def sources(self) -> list[Lines]:
        """Give all there is to read."""
        return [*self.files, self.log]


@dataclass(frozen=True)
class Parser:
    """How output of a type is read. `looked_for` is what a person has to know whose output has no result in it.

    `may_find_nothing`: a test of this type needn't measure anything.
    """

    parse: Callable[[Output], Iterable[Found]]
    looked_for: str
    may_find_nothing: bool = False


def files_then_log(output: Output, read: Read) -> Iterator[Found]:
    """Read all output files; if no result is in them, the log. (A result that stands in both is one.)"""
    yield from _first_with_results([output.files, [output.log]], read)


def log_then_files(output: Output, read: Read) -> Iterator[Found]:
    """Read the log; if no result is in it, all output files."""
    yield from _first_with_results([[output.log], output.files], read)


def _first_with_results(groups: Iterable[Sequence[Lines]], read: Read) -> Iterator[Found]:
    for group in groups:
        found_any = False
        for lines in group:
            for found in read(lines):
                found_any = found_any or isinstance(found, Metric)
                yield found
        if found_any:
            return
