"""`dsi tls-material`: certificates for the hosts of a work directory."""

from collections.abc import Sequence
from pathlib import Path

from dsi import config
from dsi.errors import Preflight
from dsi.stages.load import load
from dsi.systems import mongodb


def tls_material(folder: Path, names: Sequence[str], work_directory: Path) -> list[Path]:
    """Make a CA, a server's and a client's certificate; without names, for all servers that provisioning gave.

    Raises:
        Preflight: no names, and no hosts yet; or the folder can't be used.
    """
    chosen = list(names) or _addresses(work_directory)
    if not chosen:
        raise Preflight(
            f"{work_directory} has no hosts yet to make certificates for: run `dsi provision` first, or name them: "
            "dsi tls-material DIR --name ADDRESS --name …"
        )
    try:
        return mongodb.make_tls_material(folder, chosen)
    except (OSError, ValueError) as problem:
        raise Preflight(f"{folder}: no certificates can be made there: {problem}") from problem


def _addresses(work_directory: Path) -> list[str]:
    out = config.provisioning(load(work_directory), lenient=True).out
    if out is None:
        return []
    hosts = [host for role in (out.mongod, out.mongos, out.configsvr) for host in role]
    return list(dict.fromkeys(place for host in hosts for place in (host.private_ip, host.public_ip) if place))
