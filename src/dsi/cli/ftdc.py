"""`dsi ftdc`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dsi import client, ftdc
from dsi.cli.console import console, guarded, start_log
from dsi.errors import NoDiagnosticData

Where = Annotated[
    Path, typer.Argument(metavar="DIR", help="A diagnostic.data folder, the folder it is in, or one file.")
]
ListThem = Annotated[bool, typer.Option("--list", help="Show all metrics: least, greatest and last value.")]
Wanted = Annotated[
    list[str] | None,
    typer.Option("--metric", metavar="NAME", help="Only these; a pattern ('*.opcounters.*') will do. May be repeated."),
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Every sample: its time, and a column per metric.")]

SHOWN_GAPS = 5


def command(path: Where, show: ListThem = False, metric: Wanted = None, as_csv: AsCsv = False) -> None:
    """Show what a server has measured of itself (its diagnostic.data), also after it has crashed."""
    start_log()
    if show and as_csv:
        raise typer.BadParameter("--list is one line per metric, --csv one line per sample: choose one")
    raise typer.Exit(guarded(lambda: _to_stdout(path, metric or (["*"] if show or as_csv else []), as_csv=as_csv)))


def _to_stdout(path: Path, wanted: Sequence[str], *, as_csv: bool) -> int:
    try:
        _show(path, wanted, as_csv=as_csv)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough
        return client.pipe_closed(sys.stdout, sys.stderr)
    return 0


def _show(path: Path, wanted: Sequence[str], *, as_csv: bool) -> None:
    if not wanted:
        _print_overview(path)
        return
    names = ftdc.select(wanted, ftdc.names(path))
    if as_csv:
        ftdc.write_csv(path, names, sys.stdout, _print_damage)
    else:
        _print_ranges(ftdc.ranges(path, names, _print_damage))


def _print_damage(damage: ftdc.Damage) -> None:
    console.print(f"dsi: damaged: {damage}", markup=False, highlight=False, soft_wrap=True)


def _print_ranges(ranges: dict[str, ftdc.Range]) -> None:
    rows = [("least", "greatest", "last", "metric")]
    rows += [(str(each.least), str(each.greatest), str(each.last), name) for name, each in ranges.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for *values, name in rows:  # names come last: some have a hundred characters
        cells = [value.rjust(width) for value, width in zip(values, widths, strict=True)]
        typer.echo("  ".join([*cells, name]))


def _print_overview(path: Path) -> None:
    files = ftdc.files(path)
    span = ftdc.span(path, _print_damage)
    if span is None:
        raise NoDiagnosticData(f"{path}: no sample can be read")
    typer.echo(f"{path}: {_count(len(files), 'file')}, {sum(file.stat().st_size for file in files):,} bytes")
    for server in ftdc.servers(path):
        typer.echo(f"server   {server}")
    begin, end = ftdc.iso_times([span.from_ms, span.to_ms])
    typer.echo(f"from     {begin}\nto       {end}")
    each_s, chunks = span.period_ms / 1000, _count(span.chunks, "chunk")
    typer.echo(f"samples  {span.samples:,}, one each {each_s:g} s, in {chunks}")
    typer.echo(f"metrics  {span.metrics:,}")
    _print_gaps(span.gaps)
    typer.echo(
        "\n--list shows all metrics; --metric NAME (or a pattern) some of them; with --csv every sample of them."
    )


def _print_gaps(gaps: Sequence[ftdc.Gap]) -> None:
    for gap in gaps[:SHOWN_GAPS]:
        begin, end = ftdc.iso_times([gap.from_ms, gap.to_ms])
        typer.echo(f"gap      {(gap.to_ms - gap.from_ms) / 1000:,.1f} s, from {begin} to {end}")
    if len(gaps) > SHOWN_GAPS:
        typer.echo(f"         and {len(gaps) - SHOWN_GAPS:,} more")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
