"""Hosts: what one can do (`base.Host`), and the kinds there are."""

from dsi.hosts.base import Handle, Host, Listener, OnConnection, OnOutput, Reader, Writer
from dsi.hosts.local import (
    LocalHost,
    LocalHostRecord,
    conn_argv,
    end_local_hosts,
    end_local_hosts_in,
    end_processes_with,
    is_alive,
    local_host,
    start_local_hosts,
    this_machine,
)
from dsi.hosts.ssh import Memory, Note, SshHost, connect_ssh, unheard

__all__ = [
    "Handle",
    "Host",
    "Listener",
    "LocalHost",
    "LocalHostRecord",
    "Memory",
    "Note",
    "OnConnection",
    "OnOutput",
    "Reader",
    "SshHost",
    "Writer",
    "conn_argv",
    "connect_ssh",
    "end_local_hosts",
    "end_local_hosts_in",
    "end_processes_with",
    "is_alive",
    "local_host",
    "start_local_hosts",
    "this_machine",
    "unheard",
]
