"""tccli as a shell would run it. Passwords go as arguments, as its users do: on a lab that is fine."""

import json
import re
from importlib import metadata

import orders

# How it tells a refusal.
ERROR = re.compile(r"\[TencentCloudSDKException\] code:(\S+) message:(.*) requestId:(\S+)", re.S)


def perform(order):
    way, key = order["way"], order["key"]
    arguments = ["bm", order["call"], "--endpoint", way["scheme"] + "://" + way["host"],
                 "--output", "json"]
    for name, value in order["with"].items():
        arguments += ["--" + name, value if isinstance(value, str) else json.dumps(value)]
    if "waiter" in way:
        arguments += ["--waiter", way["waiter"]]
    environment = {
        "TENCENTCLOUD_SECRET_ID": key["id"],
        "TENCENTCLOUD_SECRET_KEY": key["secret"],
        "TENCENTCLOUD_REGION": "ap-guangzhou",
    }
    if key["token"]:
        environment["TENCENTCLOUD_TOKEN"] = key["token"]
    done = orders.run("tccli", arguments, **environment)
    refusal = ERROR.search(done.stderr + done.stdout)
    if refusal:
        assert done.returncode == 255, done
        code, message, request_id = refusal.groups()
        raise orders.Refused(code=code, message=message, request_id=request_id)
    assert done.returncode == 0, done
    # While it waits it prints what it sees, then the answer.
    return json.loads(done.stdout[done.stdout.index("{"):])


orders.serve(metadata.version("tccli"), perform)
