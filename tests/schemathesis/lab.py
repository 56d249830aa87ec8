"""The lab that is asked, and what in it may be changed without an end to the run."""

import json
import os

import requests

from signature import PATH_V2, SignedForm

PASSWORD = "Sch3mathesis"


class Lab:
    def __init__(self):
        with open(os.environ["OPENCPM_READY_FILE"], encoding="utf-8") as file:
            self.ready = json.load(file)
        self.key = {name: self.ready[name] for name in ("secret_id", "secret_key")}
        ids = [device["instance_id"] for device in self.ready["devices"]]
        self.devices = ids + self.ready["simulated"][:20] + [
            self.ready["other_account"]["instance_id"]]
        accounts = {key["secretId"]: key["appId"] for key in self.ask("DescribeApiKeys")["keyList"]}
        self.account = accounts[self.key["secret_id"]]
        self.other_account = accounts[self.ready["other_account"]["secret_id"]]
        # Changed at will: nothing else depends on them.
        self.spare_device = self.ask("CreateDevice", appId=self.account)["instanceId"]
        spare_key = self.ask("CreateApiKey", appId=self.other_account, uin=7)
        self.spare_key = spare_key["secretId"]
        # Two tasks to look at.
        self.tasks = [self.reset(ids), self.reset(self.ready["simulated"][:5])]

    def reset(self, ids):
        listed = {f"instanceIds.{place}": device for place, device in enumerate(ids)}
        return self.ask("ResetDevicePasswd", passwd=PASSWORD, **listed)["taskId"]

    def ask(self, action, **parameters):
        """One request of API 2.0 that must succeed."""
        url = self.ready["http"] + PATH_V2
        answer = requests.post(url, parameters, auth=SignedForm(self.key, action), timeout=30)
        answer = answer.json()
        assert answer["code"] == 0, answer
        return answer.get("data")

    def known(self, action, parameter):
        """What to give for a parameter in this lab; empty where any value will do. Values that
        mean nothing here come by themselves, where a case is to be wrong."""
        name = parameter[0].lower() + parameter[1:]
        if name == "instanceIds":
            return self.devices
        if name == "instanceId":
            changes = action in ("ModifyDevice", "CreateEnrolmentToken")
            return [self.spare_device] if changes else self.devices
        if name == "appId":
            return self._accounts(action, parameter)
        return {"taskId": self.tasks, "keyId": [self.spare_key],
                "password": [PASSWORD], "passwd": [PASSWORD]}.get(name, [])

    def _accounts(self, action, parameter):
        if action == "CreateAccount":
            # Each can be made once, so each dialect has its own.
            first = 4_000_000 if parameter == "appId" else 5_000_000
            return list(range(first, first + 500))
        if action == "ModifyAccount":
            # A blocked account cannot be unblocked by its own key.
            return [self.other_account]
        if action == "CreateEnrolmentToken":
            # The spare device's.
            return [self.account]
        return [self.account, self.other_account]


# Two names of one action: each takes one of two parameters that exclude each other.
LEFT_OUT = {
    "DescribeDevice": ("subnetId", "unSubnetId"),
    "DescribeDeviceList": ("subnetIds", "unSubnetIds"),
}
