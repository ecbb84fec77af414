"""A work directory → its configuration, with what dsi works out itself laid under it."""

from pathlib import Path

from dsi import config
from dsi.config import Tree
from dsi.systems import mongodb


def load(work_directory: Path) -> Tree:
    """Read the work directory's files.

    Raises:
        ConfigError: files that can't be read or put together; all such problems at once.
    """
    tree = config.load(work_directory)
    return tree.with_computed("mongodb_setup.meta", lambda tree: mongodb.meta(config.mongodb_setup(tree)))
