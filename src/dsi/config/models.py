"""What the stages read, as typed, frozen models: one per stage, made when the stage begins.

Keys that dsi does not know are allowed everywhere: users keep lookup tables of their own in these files. A field's name is
the key in YAML. Hooks stay raw lists here (`Hook`): `commands.parse` makes commands of them, and their path in the tree
(`test_control.run.0.pre_test.2`) leads back to file and line.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Hook = list[Any]
"""Commands as they stand in YAML: mappings, every one to be parsed by `commands.parse`."""

Mapping = dict[str, Any]


class Section(BaseModel):
    """A mapping of which dsi knows some keys."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)


# --- infrastructure_provisioning ------------------------------------------------------------------------------------------


class HostSpec(Section):
    """A host as listed under `infrastructure_provisioning.hosts` or in `….out`."""

    public_ip: str
    private_ip: str | None = None
    ssh_user: str | None = None
    ssh_port: int | None = Field(None, ge=1, le=65535)
    ssh_key_file: str | None = None
    home: str | None = None


class HostLists(Section):
    """Hosts by role, each role's in a fixed order."""

    mongod: list[HostSpec] = []
    mongos: list[HostSpec] = []
    configsvr: list[HostSpec] = []
    workload_client: list[HostSpec] = []


class TfVars(Section):
    """How many hosts of each kind, and how to reach them: the original's own keys."""

    mongod_instance_count: int = Field(0, ge=0)
    mongos_instance_count: int = Field(0, ge=0)
    configsvr_instance_count: int = Field(0, ge=0)
    workload_instance_count: int = Field(1, ge=0)
    ssh_user: str | None = None
    ssh_key_file: str | None = None


class InfrastructureProvisioning(Section):
    """`infrastructure_provisioning.yml`."""

    provider: Literal["local", "static", "terraform"] = "local"
    tfvars: TfVars = TfVars()
    hosts: HostLists = HostLists()
    out: HostLists | None = None
    post_provisioning: Hook = []
    local_post_provisioning: bool = False
    numactl_prefix: str | list[str] | None = None


# --- mongodb_setup --------------------------------------------------------------------------------------------------------


class Node(Section):
    """One mongod, mongos or config server. `config_file` is whole: the general one with the node's own laid over it."""

    id: str | None = None
    public_ip: str
    private_ip: str | None = None
    config_file: Mapping = {}
    rs_conf_member: Mapping = {}
    mongo_dir: str | None = None
    mongodb_binary_archive: str | None = None


class Standalone(Node):
    """A cluster of one mongod."""

    cluster_type: Literal["standalone"]


class ReplicaSet(Section):
    """A replica set, also as a shard."""

    id: str | None = None
    cluster_type: Literal["replset"] = "replset"
    mongod: list[Node] = Field(min_length=1)
    rs_conf: Mapping = {}


class ShardedCluster(Section):
    """Config servers, shards and mongos (brought up by a later version)."""

    id: str | None = None
    cluster_type: Literal["sharded_cluster"]
    configsvr: list[Node] = []
    mongos: list[Node] = []
    shard: list[Mapping] = []


class ShutdownOptions(Section):
    """What goes to the server's `shutdown` command."""

    force: bool = True
    timeoutSecs: float = 0  # noqa: N815  the server's own spelling


class SetupTimeouts(Section):
    """How long a node may take, in milliseconds."""

    shutdown_ms: int = Field(60_000, ge=0)
    sigterm_ms: int = Field(10_000, ge=0)
    start_ms: int = Field(120_000, ge=0)


class Authentication(Section):
    """Users and passwords (set up by a later version)."""

    enabled: bool = False
    username: str | None = None
    password: str | None = None


class MongodbSetup(Section):
    """`mongodb_setup.yml`."""

    topology: list[Standalone | ReplicaSet | ShardedCluster] = []
    mongo_dir: str = "mongodb"
    mongodb_binary_archive: str | None = None
    clean_logs: bool = True
    clean_db_dir: bool = True
    shutdown_options: ShutdownOptions = ShutdownOptions()
    timeouts: SetupTimeouts = SetupTimeouts()
    authentication: Authentication = Authentication()
    journal_dir: str | None = None
    meta: Mapping = {}
    pre_cluster_start: Hook = []
    post_cluster_start: Hook = []
    pre_task: Hook = []
    between_tests: Hook = []
    pre_test: Hook = []
    during_test: Hook = []
    post_test: Hook = []
    post_task: Hook = []
    upon_error: Hook = []


# --- workload_setup -------------------------------------------------------------------------------------------------------


class WorkloadSetup(Section):
    """`workload_setup.yml`: under each test type, a hook."""

    def hook(self, test_type: str) -> Hook | None:
        """Give the hook of a type; None where there is no such key."""
        value = (self.model_extra or {}).get(test_type)
        return value if isinstance(value, list) else None


# --- test_control ---------------------------------------------------------------------------------------------------------


class Dsisocket(Section):
    """Where the running workload finds us, on its own host."""

    enabled: bool = False
    bind_addr: str = "127.0.0.1"
    port: int = Field(27007, ge=1, le=65535)
    max_line_bytes: int = Field(1 << 20, ge=1024)
    max_connections: int = Field(1024, ge=1)


class TestTimeouts(Section):
    """Limits of a test, in milliseconds."""

    no_output_ms: int = Field(5_400_000, ge=1)


class Test(Section):
    """One entry of `run`."""

    id: str
    type: str
    cmd: str
    tty: bool = False
    config_filename: str | None = None
    workload_config: str | Mapping | None = None
    output_files: list[str] = []
    background_tasks: dict[str, str] = {}
    skip_validate: bool = False
    pre_test: Hook = []
    during_test: Hook = []
    post_test: Hook = []


class TestControl(Section):
    """`test_control.yml`."""

    task_name: str = ""
    run: list[Test] = []
    timeouts: TestTimeouts = TestTimeouts()
    test_delay_seconds: float = Field(0, ge=0)
    dsisocket: Dsisocket = Dsisocket()
    pre_task: Hook = []
    between_tests: Hook | None = None
    pre_test: Hook = []
    during_test: Hook = []
    post_test: Hook = []
    post_task: Hook = []
