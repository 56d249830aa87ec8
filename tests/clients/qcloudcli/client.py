"""qcloudcli as a shell would run it. It takes passwords as arguments only: on a lab that is fine."""

import json
import os
from importlib import metadata

import orders


def perform(order):
    configure(order["key"])
    arguments = ["bm", order["call"]]
    for name, value in order["with"].items():
        arguments += ["--" + name, value if isinstance(value, str) else json.dumps(value)]
    done = orders.run("qcloudcli", arguments)
    assert done.returncode == 0, done
    return orders.data_of(json.loads(done.stdout))


def configure(key):
    """Writes what `qcloudcli configure` asks for."""
    folder = os.path.join(os.environ["HOME"], ".qcloudcli")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "configure"), "w") as file:
        file.write("[default]\nregion = gz\noutput = json\n")
    with open(os.path.join(folder, "credentials"), "w") as file:
        file.write("[default]\nqcloud_secretid = %s\nqcloud_secretkey = %s\n"
                   % (key["id"], key["secret"]))


orders.serve(metadata.version("qcloudcli"), perform)
