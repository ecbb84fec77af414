"""MongoDB's diagnostic data (FTDC, `diagnostic.data/metrics.*`): what a server measures of itself, once a second."""

from dsi.ftdc.chunk import Chunk
from dsi.ftdc.damage import Damage, Damaged
from dsi.ftdc.folder import files, metadata, read
from dsi.ftdc.reader import Metadata
from dsi.ftdc.series import Series, series

__all__ = ["Chunk", "Damage", "Damaged", "Metadata", "Series", "files", "metadata", "read", "series"]
