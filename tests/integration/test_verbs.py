"""The verbs under a target, on this machine itself."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dsi.commands import Context, Scope, parse
from dsi.errors import CommandFailed, SourceMissing
from dsi.hosts import this_machine
from dsi.inventory import Inventory
from dsi.model import HostEntry, Role
from dsi.timeline import Timeline


class Bed:
    """Two listings of one machine, each with a name of its own, and what commands write to its log."""

    def __init__(self, folder: Path) -> None:
        self.work, self.home, self.reports = folder / "work", folder / "home", folder / "reports"
        for made in (self.work, self.home, self.reports):
            made.mkdir()
        hosts = {
            entry("workload_client"): this_machine("workload_client.0", self.home),
            entry("mongod"): this_machine("mongod.0", self.home),
        }
        self.context = Context(
            work_directory=self.work,
            inventory=Inventory(hosts, this_machine("localhost", self.work)),
            clusters=None,
            timeline=Timeline(None),
            reports=self.reports,
            environment={"DSI_TEST_ID": "one"},
        )

    async def run(self, raw: Any) -> list[str]:
        return [result.stdout for result in await parse(raw, Scope()).run(self.context)]


def entry(role: Role) -> HostEntry:
    return HostEntry(role=role, index=0, public_ip="127.0.0.1", private_ip="127.0.0.1")


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    bed = Bed(tmp_path)
    yield bed
    await bed.context.inventory.close()


async def test_exec_runs_in_the_home_folder_and_on_localhost_in_the_work_directory(bed: Bed) -> None:
    assert await bed.run({"on_wc": "pwd"}) == [f"{bed.home}\n"]
    assert await bed.run({"on_localhost": "pwd"}) == [f"{bed.work}\n"]


async def test_the_environment_of_a_test_is_for_the_workload_client_alone(bed: Bed) -> None:
    assert await bed.run({"on_all_hosts": "echo $DSI_TEST_ID"}) == ["\n", "one\n"]


async def test_listings_of_one_machine_run_one_after_another(bed: Bed) -> None:
    """Side by side, one of them would find the folder that the other has made."""
    await bed.run({"on_all_hosts": "mkdir alone && sleep 0.2 && rmdir alone"})


async def test_the_verbs_of_a_command_run_in_the_order_written_and_end_with_the_first_that_fails(bed: Bed) -> None:
    (bed.work / "file").write_text("1")
    with pytest.raises(CommandFailed, match=r"mongod\.0: exit status 4"):
        upload = [{"source": "file", "target": "never"}]
        await bed.run({"on_mongod": {"exec": "exit 4", "upload_files": upload}})
    assert not (bed.home / "never").exists()


async def test_upload_files_keeps_permissions_and_makes_folders(bed: Bed) -> None:
    (bed.work / "tool").write_text("#!/bin/sh\necho ran\n")
    (bed.work / "tool").chmod(0o755)
    await bed.run({"on_wc": {"upload_files": [{"source": "tool", "target": "a/b/tool"}]}})
    assert await bed.run({"on_wc": "a/b/tool"}) == ["ran\n"]


async def test_repo_files_are_looked_for_in_the_work_directory_then_dsi_path_then_ours(
    bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "dsi_path"
    theirs.mkdir()
    monkeypatch.setenv("DSI_PATH", str(theirs))
    upload = {"on_wc": {"upload_repo_files": [{"source": "model.py", "target": "found"}]}}
    await bed.run(upload)
    assert "frozen values" in (bed.home / "found").read_text()
    (theirs / "model.py").write_text("theirs")
    await bed.run(upload)
    assert (bed.home / "found").read_text() == "theirs"
    (bed.work / "model.py").write_text("work")
    await bed.run(upload)
    assert (bed.home / "found").read_text() == "work"


async def test_a_repo_file_that_is_nowhere_is_an_error_that_names_all_three_places(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DSI_PATH", raising=False)
    with pytest.raises(SourceMissing, match=r"work directory \(.*\), nor in \$DSI_PATH \(not set\), nor among dsi's"):
        await bed.run({"on_wc": {"upload_repo_files": [{"source": "none", "target": "x"}]}})


async def test_retrieve_files_puts_what_is_there_under_the_hosts_name(bed: Bed) -> None:
    (bed.home / "log").write_text("1")
    wanted = [{"source": "missing", "target": "m"}, {"source": "log", "target": "logs/log"}]
    await bed.run({"on_mongod": {"retrieve_files": wanted}})
    assert (bed.reports / "mongod.0" / "logs" / "log").read_text() == "1"


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.net"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with the branches `main` and `other`."""
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-b", "main")
    for branch in ("main", "other"):
        if branch != "main":
            git(folder, "checkout", "-b", branch)
        (folder / "file").write_text(branch)
        git(folder, "add", "file")
        git(folder, "commit", "-m", branch)
    git(folder, "checkout", "main")
    return folder


async def test_checkout_repos_clones_the_branch_and_leaves_an_existing_checkout(bed: Bed, repository: Path) -> None:
    checkout = {"on_wc": {"checkout_repos": [{"source": str(repository), "target": "it's here", "branch": "other"}]}}
    await bed.run(checkout)
    assert (bed.home / "it's here" / "file").read_text() == "other"
    (bed.home / "it's here" / "file").write_text("mine")
    await bed.run(checkout)
    assert (bed.home / "it's here" / "file").read_text() == "mine"


async def test_checkout_repos_refuses_another_folder_and_leaves_no_half_checkout(bed: Bed, repository: Path) -> None:
    (bed.home / "full").mkdir()
    (bed.home / "full" / "file").touch()
    with pytest.raises(CommandFailed, match="exists and is no git checkout"):
        await bed.run({"on_wc": {"checkout_repos": [{"source": str(repository), "target": "full"}]}})
    with pytest.raises(CommandFailed, match="nothing-there"):
        await bed.run({"on_wc": {"checkout_repos": [{"source": str(repository / "nothing-there"), "target": "new"}]}})
    assert not (bed.home / "new").exists()
