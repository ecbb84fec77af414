"""What lies beside a workload for it to speak with dsi."""

import stat
from pathlib import Path

from tests.integration.test_cli import free_port, task
from tests.integration.work_directory import WorkDirectory

from dsi import client
from dsi.hosts import this_machine
from dsi.stages.client_files import put_client_files


async def test_the_files_are_written_once_and_again_where_they_are_not_as_they_should_be(tmp_path: Path) -> None:
    host = this_machine("workload_client.0", tmp_path)
    environment = await put_client_files(host)
    folder = tmp_path / ".dsi" / "bin"
    assert environment["PATH"].split(":")[0] == environment["PYTHONPATH"].split(":")[0] == str(folder)
    program, library = folder / "dsi-send", folder / "dsi_client.py"
    assert stat.S_IMODE(program.stat().st_mode) == 0o755
    assert library.read_bytes() == Path(client.__file__).read_bytes()
    before = library.stat().st_ino
    assert await put_client_files(host) == environment
    assert library.stat().st_ino == before
    library.write_text("an older one")
    await put_client_files(host)
    assert library.read_bytes() == Path(client.__file__).read_bytes()


def test_cmd_finds_dsi_send_on_its_path_and_dsi_client_among_its_modules(tmp_path: Path) -> None:
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning="provider: local\ntfvars: {workload_instance_count: 1}\n",
        test_control=task(
            "command -v dsi-send; python3 -c 'import dsi_client; print(dsi_client.__file__)'; exit 7", port=free_port()
        ),
    )
    work.dsi("run", exit_status=1)
    program, library, end = work.read("reports/test0/test_output.log").splitlines()
    assert program.endswith("/home/.dsi/bin/dsi-send")
    assert library.endswith("/home/.dsi/bin/dsi_client.py")
    assert end == "exit_status: 7 'failed'"


def test_where_there_is_no_dsisocket_nothing_is_written(tmp_path: Path) -> None:
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning="provider: local\ntfvars: {workload_instance_count: 1}\n",
        test_control=task("ls -a .dsi || true"),
    )
    work.dsi("run")
    assert "dsi-send" not in work.read("reports/test0/test_output.log")
