"""MongoDB clusters: what is in `mongodb_setup`, on hosts.

`Deployment` is all that the stages and commands need; `meta` says what clients need to know. One file per noun, from
the outside in: `deployment`, `cluster` (`standalone`, `replica_set`, `sharded_cluster`), `node`, `process`; `topology`
(which makes `plan`s), `mongod_config`, `old_options` and `meta` are pure; `install` and `archive` bring the binaries;
`preflight` looks before anything is started; `client` asks servers; `folders` cleans.
"""

from dsi.systems.mongodb.deployment import Deployment, RestartReport
from dsi.systems.mongodb.install import embedded_mongod
from dsi.systems.mongodb.meta import meta
from dsi.systems.mongodb.topology import Topology

__all__ = ["Deployment", "RestartReport", "Topology", "embedded_mongod", "meta"]
