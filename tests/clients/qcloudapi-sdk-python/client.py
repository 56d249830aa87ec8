"""The Python SDK of API 2.0, used as its documentation says."""

import json
from importlib import metadata

from QcloudApi.qcloudapi import QcloudApi

import orders


def perform(order):
    way, key = order["way"], order["key"]
    config = {
        "secretId": key["id"],
        "secretKey": key["secret"],
        "Region": "gz",
        "method": way["method"],
        "SignatureMethod": way["signature"],
    }
    if key["token"]:
        config["Token"] = key["token"]
    module = "bm"
    if not way["fixed_host"]:
        # Any module but the built-in ones takes an endpoint.
        module, config["endpoint"] = "opencpm", way["host"]
    service = QcloudApi(module, config)
    return orders.data_of(json.loads(service.call(order["call"], order["with"])))


orders.serve(metadata.version("qcloudapi-sdk-python"), perform)
