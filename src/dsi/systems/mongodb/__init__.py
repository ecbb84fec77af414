"""MongoDB clusters: what is in `mongodb_setup`, on hosts.

`Deployment` is all that the stages and commands need; `meta` says what clients need to know. One file per noun, from
the outside in: `deployment` (which `assembly` puts together, and `records` remembers), `cluster` (`standalone`,
`replica_set`, `sharded_cluster`), `node`, `process`; `topology` (which makes `plan`s), `mongod_config`, `old_options`
and `meta` are pure; `install` and `archive` bring the binaries; `preflight` looks before anything is started; `client`
asks servers, as `access` says; `credentials` are the work directory's, `users` has them made in clusters; `tls` knows
what clients need for TLS, `certificate` looks at a server's, `tls_material` makes some; `folders` cleans, as
`beginning` says; `selection` says which nodes are meant, `rolling` restarts them one by one; `watch` notices that one
goes down; `roles` says what each is; `validation` sees whether the data are whole.
"""

from dsi.systems.mongodb.credentials import Secrets, User, user
from dsi.systems.mongodb.credentials import kept as kept_secrets
from dsi.systems.mongodb.credentials import make as make_secrets
from dsi.systems.mongodb.deployment import Deployment, RestartReport
from dsi.systems.mongodb.install import embedded_mongod
from dsi.systems.mongodb.meta import login, meta
from dsi.systems.mongodb.roles import present_roles
from dsi.systems.mongodb.selection import parse_selectors
from dsi.systems.mongodb.tls_material import make as make_tls_material
from dsi.systems.mongodb.topology import Topology
from dsi.systems.mongodb.validation import validated_problems
from dsi.systems.mongodb.watch import NodeDown, NodeWatch

__all__ = [
    "Deployment",
    "NodeDown",
    "NodeWatch",
    "RestartReport",
    "Secrets",
    "Topology",
    "User",
    "embedded_mongod",
    "kept_secrets",
    "login",
    "make_secrets",
    "make_tls_material",
    "meta",
    "parse_selectors",
    "present_roles",
    "user",
    "validated_problems",
]
