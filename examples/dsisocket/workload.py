"""Restarts the primary and looks who is primary then. dsi puts `dsi_client` beside each test's `cmd`."""

from dsi_client import CommandFailed, DsiSocket

with DsiSocket.from_env() as dsi:
    for result in dsi.exec("on_mongod", "du -sh data/dbs").results:
        print(result.host, result.stdout.strip())

    dsi.mark("the restart begins")
    dsi.restart_mongodb(nodes=["rs0:primary"])

    for event in dsi.stream({"on_mongod.0": {"exec": "tail -n 2 data/logs/mongod.log"}}, timeout=30):
        print(event.host, event.data, end="")

    try:
        dsi.exec("on_workload_client", "ls /nowhere")
    except CommandFailed as failure:
        print("as it should be:", failure)
