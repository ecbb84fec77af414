"""MongoDB's diagnostic data (FTDC, `diagnostic.data/metrics.*`): what a server measures of itself, once a second."""

from dsi.ftdc.as_csv import iso_times, write_csv
from dsi.ftdc.chunk import Chunk
from dsi.ftdc.damage import Damage, Damaged
from dsi.ftdc.folder import files, metadata, read
from dsi.ftdc.reader import Metadata
from dsi.ftdc.selecting import names, select
from dsi.ftdc.series import Series, series
from dsi.ftdc.summary import Gap, Range, Span, ranges, servers, span

__all__ = [
    "Chunk",
    "Damage",
    "Damaged",
    "Gap",
    "Metadata",
    "Range",
    "Series",
    "Span",
    "files",
    "iso_times",
    "metadata",
    "names",
    "ranges",
    "read",
    "select",
    "series",
    "servers",
    "span",
    "write_csv",
]
