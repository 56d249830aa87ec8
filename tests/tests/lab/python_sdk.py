"""Reset, poll, list, log with qcloudapi-sdk-python 2.0.15, as its users write it."""

import json
import os
import sys
import time

from QcloudApi.qcloudapi import QcloudApi

host, secret_id, password, *instances = sys.argv[1:]
secret_key = os.environ["OPENCPM_SECRET_KEY"]


def call(action, method, **parameters):
    # Any module name but the built-in ones takes an endpoint of its own.
    config = {"secretId": secret_id, "secretKey": secret_key, "Region": "gz",
              "method": method, "endpoint": host}
    service = QcloudApi("opencpm", config)
    answer = json.loads(service.call(action, parameters))
    assert answer["code"] == 0, answer
    assert answer.get("codeDesc") in (None, "", "Success"), answer
    return answer["data"]


ids = {"instanceIds.%d" % n: instance for n, instance in enumerate(instances)}
task = call("ResetDevicePasswd", "POST", passwd=password, **ids)["taskId"]

deadline = time.monotonic() + 40
while True:
    result = call("DescriptionOperationResult", "GET", taskId=task)
    if not result["status"] & 4:
        break
    assert time.monotonic() < deadline, result
    time.sleep(0.2)
assert result["status"] == 1, result
assert [d["instanceId"] for d in result["instanceIds"]] == instances, result

listed = call("DescribeDevice", "GET", limit=30, offset=0, **ids)
assert listed["totalNum"] == len(instances), listed
assert {d["instanceId"] for d in listed["deviceList"]} == set(instances), listed

for instance in instances:
    log = call("DescribeDeviceOperationLog", "POST", instanceId=instance)
    assert log["totalCount"] == 1, log
    assert log["logs"][0]["taskId"] == str(task), log

print("reset, polled, listed, read the log")
