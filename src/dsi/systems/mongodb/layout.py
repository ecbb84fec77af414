"""What follows from a node's plan on its host: its configuration, where it is asked, where its files lie. Pure."""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from dsi.systems.mongodb import mongod_config
from dsi.systems.mongodb.plan import NodePlan
from dsi.systems.mongodb.process import Files

_OWN_FOLDER: Final = ".dsi"
"""Where files lie that have secrets in them: not among the logs and data, which are fetched."""


JOURNAL_OF = "dbPath"
"""A link beside a journal to the data folder that it belongs to: the lock there tells whether its server lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a node lies on its host. Relative paths begin in the home folder of the host's user.

    `address` is where its own host reaches it. `prefix` is put before the program. `db_path` is None for a mongos;
    `journal` is where the journal lies if not in there. `is_in_work_directory`: dsi has made the host, in its work
    directory, and the host goes with all that is in there.
    """

    config: Mapping[str, Any]
    address: str
    binary: str
    prefix: tuple[str, ...]
    log_path: str
    db_path: str | None
    journal: str | None
    key_path: str
    files: Files
    is_in_work_directory: bool

    @classmethod
    def of(cls, plan: NodePlan, *, prefix: Sequence[str], local_address: str | None, has_key: bool) -> Self:
        """Work it out.

        `local_address`: the host's own address where it shares this machine with others, else None. `has_key`: whether
        the node gets a key file.
        """
        key_path = f"{_OWN_FOLDER}/mongod.{plan.port}.key"
        config = mongod_config.whole(
            plan.model.config_file,
            role=plan.role,
            replica_set=plan.replica_set,
            sharding=plan.sharding,
            local_address=local_address,
            key_file=key_path if has_key else None,
        )
        log_path = mongod_config.log_path_of(config)
        return cls(
            config=config,
            address=mongod_config.asked_address(config, plan.address),
            binary=f"{plan.mongo_dir}/bin/{plan.program}",
            # Config servers go without, as they did in the original: what is measured are the others.
            prefix=tuple(prefix) if plan.role != "configsvr" else (),
            log_path=log_path,
            db_path=plan.db_path,
            # Nodes of one host have a folder each.
            journal=f"{plan.journal_dir.rstrip('/')}/mongod.{plan.port}" if plan.journal_dir else None,
            key_path=key_path,
            files=Files(
                folder=posixpath.dirname(log_path) or ".",
                name=f"{plan.program}.{plan.port}",
                lock=f"{plan.db_path}/mongod.lock" if plan.db_path else None,
            ),
            is_in_work_directory=local_address is not None,
        )

    @property
    def config_path(self) -> str:
        """Where the configuration file lies; the password of a TLS key may be in it."""
        return f"{_OWN_FOLDER}/{self.files.name}.conf"

    @property
    def command(self) -> list[str]:
        """What starts it."""
        return [*self.prefix, self.binary, "--config", self.config_path]

    @property
    def folders(self) -> list[str]:
        """The folders that the server does not make itself."""
        pid_path = mongod_config.pid_path_of(self.config)
        needed = [self.db_path, self.files.folder, (posixpath.dirname(pid_path) or ".") if pid_path else None]
        return [folder for folder in needed if folder]
