"""`./run` on machines that lack something, made by programs that stand before the real ones in PATH."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Machine:
    """A checkout with nothing but `run` in it, and a folder of programs that say what the test wants."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "checkout"
        self.programs = folder / "bin"
        self.checkout.mkdir()
        self.programs.mkdir()
        shutil.copy(ROOT / "run", self.checkout)
        for name in ("pyproject.toml", "requirements-dev.lock"):
            (self.checkout / name).touch()

    def program(self, name: str, shell_text: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{shell_text}\n")
        path.chmod(0o755)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": f"{self.programs}:{os.environ['PATH']}"}
        return subprocess.run(
            [self.checkout / "run", *arguments], env=environment, capture_output=True, text=True, check=False
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_a_verb_it_lists_what_there_is(machine: Machine) -> None:
    ended = machine.run()
    assert ended.returncode == 0
    assert "./run demo" in ended.stdout


def test_an_unknown_verb_fails_and_is_named(machine: Machine) -> None:
    ended = machine.run("dmeo")
    assert ended.returncode == 1
    assert "there is no ./run dmeo" in ended.stderr


@pytest.mark.parametrize(
    ("program", "answer", "said"),
    [
        ("uname", "echo Darwin", "dsi runs on Linux; this is Darwin"),
        ("uname", '[ "$1" = -s ] && echo Linux || echo aarch64', "x86-64; this is aarch64"),
        ("grep", "exit 1", "this processor has no AVX"),
        ("getconf", "echo glibc 2.31", "glibc is 2.31; the mongod that comes along needs 2.34 or later"),
        ("getconf", "exit 1", "there is no glibc here"),
    ],
)
def test_a_machine_that_mongod_cannot_run_on_is_told_why(
    machine: Machine, program: str, answer: str, said: str
) -> None:
    machine.program(program, answer)
    ended = machine.run("demo")
    assert ended.returncode == 1
    assert said in ended.stderr
    assert not (machine.checkout / ".venv").exists()


def test_who_is_not_root_is_told_which_package_python_lacks(machine: Machine) -> None:
    machine.program("id", "echo 1000")
    for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11"):
        machine.program(name, "exit 1")
    machine.program("python3.12", 'case "$2" in *ensurepip*) exit 1 ;; *) echo 3.12 ;; esac')
    machine.program("apt-get", "exit 1")
    ended = machine.run("demo")
    assert ended.returncode == 1
    assert "sudo apt-get install python3.12 python3.12-venv" in ended.stderr


def test_what_pip_said_is_shown_when_it_cannot_reach_the_package_index(machine: Machine) -> None:
    machine.program(
        "python3",
        'case "$*" in\n'
        '  "-m venv"*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;\n'
        "  *install*) echo 'NewConnectionError: Temporary failure in name resolution'; exit 1 ;;\n"
        "esac",
    )
    ended = machine.run("demo")
    assert ended.returncode == 1
    assert "Temporary failure in name resolution" in ended.stderr
    assert "can't reach the package index" in ended.stderr


def test_an_environment_that_was_left_half_made_is_made_anew(machine: Machine) -> None:
    machine.program(
        "python3", 'case "$*" in "-m venv"*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;; *) exit 0 ;; esac'
    )
    left_over = machine.checkout / ".venv" / "left_over"
    left_over.parent.mkdir()
    left_over.touch()
    (machine.checkout / ".venv" / ".dsi-unfinished").touch()
    machine.run("demo")
    assert not left_over.exists()
