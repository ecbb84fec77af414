"""How a start begins: with which data and logs, and whether the clusters are formed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from dsi.config import models
from dsi.systems.mongodb.node import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What is deleted before nodes start, and whether the clusters are formed (again) after it.

    At the first start a node's own `clean_logs` and `clean_db_dir` go before those of `mongodb_setup`.
    """

    clean_logs: bool
    clean_db_dir: bool
    forms: bool
    is_first: bool = False

    @classmethod
    def first(cls, setup: models.MongodbSetup) -> Self:
        """Give what the configuration says for the first start."""
        return cls(clean_logs=setup.clean_logs, clean_db_dir=setup.clean_db_dir, forms=True, is_first=True)

    @classmethod
    def again(cls, *, clean_logs: bool, clean_db_dir: bool) -> Self:
        """Give how nodes start that ran before: clusters without data are formed anew."""
        return cls(clean_logs=clean_logs, clean_db_dir=clean_db_dir, forms=clean_db_dir)

    async def prepare(self, node: Node) -> None:
        """Make the node's folders, and delete in them what is to be deleted. It must not run.

        Raises:
            CommandFailed: as `Node.prepare`.
        """
        own = node.plan.model.clean_logs if self.is_first else None
        await node.prepare(clean_logs=self.clean_logs if own is None else own, clean_db_dir=self._cleans_db_dir(node))

    def empties(self, nodes: Iterable[Node]) -> bool:
        """Tell whether the data of all these nodes are deleted."""
        return all(map(self._cleans_db_dir, nodes))

    def _cleans_db_dir(self, node: Node) -> bool:
        own = node.plan.model.clean_db_dir if self.is_first else None
        return self.clean_db_dir if own is None else own
