#!/usr/bin/env bash
# Restarts the primary with nothing but bash: one line there, one line back, over bash's own /dev/tcp.
set -eu

exec 3<>"/dev/tcp/${DSI_SOCKET%:*}/${DSI_SOCKET##*:}"

ask() {
    printf '%s\n' "$1" >&3
    read -r reply <&3
    printf '%s\n' "$reply"
    [[ $reply == '{"status_code": 0,'* ]]
}

[[ -z ${DSI_SOCKET_TOKEN-} ]] || ask "{\"auth\": \"$DSI_SOCKET_TOKEN\"}"
ask '{"on_mongod": {"exec": "du -sh data/dbs"}}'
ask '{"restart_mongodb": {"nodes": ["rs0:primary"]}}'
