"""What the stages read, as typed, frozen models: one per stage, made when the stage begins (see `typed`).

A field's name is the key in YAML, and a key that is no field is not read: users keep lookup tables of their own in
these files, with references in them that need not resolve. Hooks are no fields (see `hooks`): `commands.parse` makes
commands of them.
"""

import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from dsi.masking import MIN_LENGTH

Mapping = dict[str, Any]


def _empty_is_none(value: Any) -> Any:
    return None if value == "" else value


OptionalText = Annotated[str | None, BeforeValidator(_empty_is_none)]
"""Text; an empty one is as good as none, which is how files unset a default."""


class Section(BaseModel):
    """A mapping of which dsi knows some keys."""

    model_config = ConfigDict(frozen=True, extra="ignore")


# --- infrastructure_provisioning ------------------------------------------------------------------


class HostSpec(Section):
    """A host as listed under `infrastructure_provisioning.hosts` or in `….out`."""

    public_ip: str
    private_ip: OptionalText = None
    ssh_user: OptionalText = None
    ssh_port: int | None = Field(None, ge=1, le=65535)
    ssh_key_file: OptionalText = None
    home: OptionalText = None


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
    mongod_ebs_instance_count: int = Field(0, ge=0)
    mongod_seeded_ebs_instance_count: int = Field(0, ge=0)
    ssh_user: OptionalText = None
    ssh_key_file: OptionalText = None
    ssh_keepalive_seconds: float = Field(15, gt=0)
    ssh_reconnect_seconds: float = Field(120, ge=0)
    ssh_max_output_bytes: int = Field(1 << 30, ge=1 << 20)

    @property
    def mongod_count(self) -> int:
        """How many mongod hosts there are: those with disks of other kinds are listed under mongod, too."""
        return self.mongod_instance_count + self.mongod_ebs_instance_count + self.mongod_seeded_ebs_instance_count


class InfrastructureProvisioning(Section):
    """`infrastructure_provisioning.yml`."""

    provider: Literal["local", "static", "terraform"] = "local"
    tfvars: TfVars = TfVars()
    hosts: HostLists = HostLists()
    out: HostLists | None = None
    local_post_provisioning: bool = False
    numactl_prefix: str | list[str] | None = None

    @property
    def server_prefix(self) -> tuple[str, ...]:
        """`numactl_prefix` as words; an empty one is none, which is how an override takes a list's elements away."""
        given = self.numactl_prefix or ""
        return tuple(word for word in (given.split() if isinstance(given, str) else given) if word)


# --- mongodb_setup --------------------------------------------------------------------------------


class Node(Section):
    """One mongod, mongos or config server. `config_file` is whole: the general one with the node's own laid over it."""

    id: str | None = None
    public_ip: str
    private_ip: str | None = None
    config_file: Mapping = {}
    rs_conf_member: Mapping = {}
    mongo_dir: OptionalText = None
    mongodb_binary_archive: OptionalText = None
    journal_dir: OptionalText = None
    use_journal_mnt: bool = True
    clean_logs: bool | None = None
    clean_db_dir: bool | None = None


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
    """Config servers, shards and mongos. `disable_balancer`: chunks stay where they are, so that runs are alike."""

    id: str | None = None
    cluster_type: Literal["sharded_cluster"]
    configsvr: list[Node] = []
    mongos: list[Node] = []
    shard: list[ReplicaSet] = []
    configsvr_type: Literal["csrs"] = "csrs"
    disable_balancer: bool = True


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
    """The user (role root) of every cluster. Without a password one is made for the work directory.

    What the product does where a file says nothing stands in `defaults.yml`; in a model made by hand it is off.
    """

    enabled: bool = False
    username: OptionalText = None
    password: OptionalText = Field(None, repr=False)


class ClientTls(Section):
    """What dsi and the workloads use for TLS where that isn't what the servers use; the server's own spellings.

    Paths are relative to the work directory here, and to the home folder on hosts.
    """

    CAFile: OptionalText = None
    certificateKeyFile: OptionalText = None  # noqa: N815
    certificateKeyFilePassword: OptionalText = Field(None, repr=False)  # noqa: N815


class MongodbSetup(Section):
    """`mongodb_setup.yml`."""

    topology: list[Annotated[Standalone | ReplicaSet | ShardedCluster, Field(discriminator="cluster_type")]] = []
    mongo_dir: str = "mongodb"
    mongodb_binary_archive: OptionalText = None
    mongod_config_file: Mapping = {}
    mongos_config_file: Mapping = {}
    configsvr_config_file: Mapping = {}
    rs_conf: Mapping = {}
    clean_logs: bool = True
    clean_db_dir: bool = True
    shutdown_options: ShutdownOptions = ShutdownOptions()
    timeouts: SetupTimeouts = SetupTimeouts()
    authentication: Authentication = Authentication()
    client_tls: ClientTls = ClientTls()
    journal_dir: OptionalText = None


class Validated(Section):
    """`mongodb_setup.validate`: whose collections are validated after a test, by `HOST:PORT` or `id`; neither: all."""

    standalone: list[str] | None = None
    primaries: list[str] | None = None


# --- test_control ---------------------------------------------------------------------------------


def _an_address(text: str) -> str:
    if text in ("localhost", ""):
        return "127.0.0.1" if text else "0.0.0.0"  # noqa: S104  what somebody wrote, in its other spelling
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"{text} is no IP address of the workload client: write 127.0.0.1, or 0.0.0.0") from None


AUTO_TOKEN = "auto"  # noqa: S105  what stands in place of a token
"""`test_control.dsisocket.token`: one is made for each test."""


class Dsisocket(Section):
    """Where the running workload finds us, on its own host.

    `token` is a secret that clients have to show, or `auto`: one is made for each test. `allow` has the words
    (commands, targets, verbs) that they may use; None: all.
    """

    enabled: bool = False
    bind_addr: Annotated[str, AfterValidator(_an_address)] = "127.0.0.1"
    port: int = Field(27007, ge=1, le=65535)
    max_line_bytes: int = Field(1 << 20, ge=1024)
    max_connections: int = Field(4096, ge=1)
    token: OptionalText = Field(None, min_length=MIN_LENGTH, repr=False)
    allow: list[str] | None = None


class TestTimeouts(Section):
    """Limits of each test's `cmd`, in milliseconds. `max_time_ms` None: as long as it takes."""

    no_output_ms: int = Field(5_400_000, ge=1)
    max_time_ms: int | None = Field(None, ge=1)
    artifacts_ms: int = Field(600_000, ge=1)


class OwnTimeouts(Section):
    """Limits of one test's `cmd`, in milliseconds. None: those of all tests."""

    no_output_ms: int | None = Field(None, ge=1)
    max_time_ms: int | None = Field(None, ge=1)


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
    timeouts: OwnTimeouts = OwnTimeouts()
    skip_validate: bool = False


class TestControl(Section):
    """`test_control.yml`."""

    task_name: str = ""
    run: list[Test] = []
    timeouts: TestTimeouts = TestTimeouts()
    test_delay_seconds: float = Field(0, ge=0)
    output_file: dict[str, str] = {}
    """By type of test: the file of the test's folder that has its results, beside its output_files and the log."""
    orphan_timeout: float = Field(600, ge=1)
    """Seconds that a command on a host goes on without dsi."""
    max_log_bytes: int = Field(1 << 28, ge=1 << 16)
    """How much of the output of `cmd`, and of each background task, is kept: the beginning and the end."""
    artifacts: Literal["always", "on_failure", "never"] = "always"
    """After which tests logs, diagnostic data and core files of the servers are fetched."""
    artifacts_max_mb: int = Field(2048, ge=1)
    """No file above this is fetched, in megabytes; of a log its end is."""
    dsisocket: Dsisocket = Dsisocket()


# --- analysis -------------------------------------------------------------------------------------


def _a_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as problem:
        raise ValueError(f"{text} is no regular expression: {problem}") from None
    return text


class Ignored(Section):
    """Findings that are to be passed over: of a rule, or those whose text a regular expression is found in, or both."""

    rule: str | None = None
    pattern: Annotated[str | None, AfterValidator(lambda text: text and _a_pattern(text))] = None


class Analysis(Section):
    """`analysis.yml`. What the original had there is not read."""

    ignore: list[Ignored] = []
