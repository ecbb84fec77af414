"""MongoDB clusters: what is in `mongodb_setup`, on hosts.

`Deployment` is all that the stages and commands need; `meta` says what clients need to know. One file per noun, from
the outside in:

- What the user wants, pure: `topology` makes `plan`s, `contradictions` says what of it can't be; `layout` is what
  follows from a plan on its host, `mongod_config` and `old_options` what its configuration file says; `meta`.
- All clusters: `deployment` installs, starts, restarts and stops them. `assembly` puts them together, `records`
  remembers them for a later dsi, `beginning` says how a start begins, `preflight` looks before anything is started.
- One cluster: `cluster` is what each can do, whether `standalone`, `replica_set` or `sharded_cluster`. `members` is a
  set at one moment, `election` has one of them elected; `selection` says which nodes are meant, `rolling` restarts
  them one by one, `roles` says what each is now, `users` makes the user.
- One node: `node` is its life, `process` its process, `client` the way to ask it, as `access` says; `folders` makes and
  cleans its folders, `log` has what it wrote, `failed_start` why it did not start, `ends` which of its ends are meant.
- The binaries: `install` and `archive` bring them, `program` is one of them.
- Secrets: `credentials` are the work directory's; `tls` knows what clients need for TLS, `certificate` looks at a
  server's, `tls_material` makes some.
- While tests run: `watch` notices that a node goes down, `validation` sees whether the data are whole, `present` says
  what a server does where a test hangs, `artifacts` what the nodes have left on their hosts.
"""

from dsi.systems.mongodb.artifacts import Artifact, Left, Mark, Places, first_mark, places_of
from dsi.systems.mongodb.artifacts import look as look_for_artifacts
from dsi.systems.mongodb.artifacts import look_at as look_for_artifacts_at
from dsi.systems.mongodb.credentials import Secrets, User, user
from dsi.systems.mongodb.credentials import kept as kept_secrets
from dsi.systems.mongodb.credentials import make as make_secrets
from dsi.systems.mongodb.deployment import Deployment, RestartReport
from dsi.systems.mongodb.install import embedded_mongod
from dsi.systems.mongodb.meta import login, meta
from dsi.systems.mongodb.node import Node
from dsi.systems.mongodb.present import current_operations, last_of_log
from dsi.systems.mongodb.process import Process
from dsi.systems.mongodb.records import anything_left, forget_nodes, keep_nodes, nodes_at
from dsi.systems.mongodb.roles import present_roles
from dsi.systems.mongodb.selection import parse_selectors
from dsi.systems.mongodb.tls_material import make as make_tls_material
from dsi.systems.mongodb.topology import Topology
from dsi.systems.mongodb.validation import validated_problems
from dsi.systems.mongodb.watch import NodeDown, NodeWatch

__all__ = [
    "Artifact",
    "Deployment",
    "Left",
    "Mark",
    "Node",
    "NodeDown",
    "NodeWatch",
    "Places",
    "Process",
    "RestartReport",
    "Secrets",
    "Topology",
    "User",
    "anything_left",
    "current_operations",
    "embedded_mongod",
    "first_mark",
    "forget_nodes",
    "keep_nodes",
    "kept_secrets",
    "last_of_log",
    "login",
    "look_for_artifacts",
    "look_for_artifacts_at",
    "make_secrets",
    "make_tls_material",
    "meta",
    "nodes_at",
    "parse_selectors",
    "places_of",
    "present_roles",
    "user",
    "validated_problems",
]
