"""What is deleted before nodes start."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from dsi.config import models
from dsi.systems.mongodb.node import Node


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What is deleted before a start, and whether the clusters are formed (again) after it.

    At the first start a node's own `clean_logs` and `clean_db_dir` go before those of `mongodb_setup`.
    """

    logs: bool
    db_dir: bool
    form: bool
    is_first: bool = False

    @classmethod
    def first(cls, setup: models.MongodbSetup) -> Self:
        """Give what the configuration says for the first start."""
        return cls(logs=setup.clean_logs, db_dir=setup.clean_db_dir, form=True, is_first=True)

    def of(self, node: Node) -> tuple[bool, bool]:
        """Give whether this node's logs, and its data, are deleted."""
        own = node.plan.model
        if not self.is_first:
            return self.logs, self.db_dir
        logs = self.logs if own.clean_logs is None else own.clean_logs
        return logs, self.db_dir if own.clean_db_dir is None else own.clean_db_dir

    def empties(self, nodes: Iterable[Node]) -> bool:
        """Tell whether the data of all these nodes are deleted."""
        return all(db_dir for _, db_dir in map(self.of, nodes))
