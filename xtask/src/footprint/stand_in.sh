#!/bin/sh
# Stands in for `opencpm` in the tests of lab.rs, so that they need no build of it. It takes the
# arguments in the order in which lab.rs gives them.
set -eu
case "$1" in
lab)
    agent=$5 ready=$7
    "$agent" 600 &
    trap 'kill $!; wait; exit 0' TERM
    # Until then the child is still this shell.
    until test "$(readlink "/proc/$!/exe")" = "$(readlink -f "$agent")"; do :; done
    echo '{"https": "https://127.0.0.1:1", "ca": "/ca", "secret_id": "i", "secret_key": "k",
           "devices": [{"instance_id": "cpm-00000001", "root": "/r", "alive": true}]}' >"$ready.new"
    mv "$ready.new" "$ready"
    wait
    ;;
reset-password)
    test "$OPENCPM_ENDPOINT $OPENCPM_SECRET_ID $OPENCPM_SECRET_KEY" = "https://127.0.0.1:1 i k"
    test "$*" = "reset-password --generate cpm-00000001"
    ;;
esac
