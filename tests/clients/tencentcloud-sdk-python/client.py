"""The Python SDK of API 3.0, used as its documentation says."""

import json
import os
from importlib import metadata

from tencentcloud.bm.v20180423 import bm_client, models
from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

import orders


def perform(order):
    way, key = order["way"], order["key"]
    # Without an endpoint it goes to the host that is built in.
    endpoint = None if way["fixed_host"] else way["host"]
    http = HttpProfile(protocol=way["scheme"], endpoint=endpoint, reqMethod=way["method"],
                       certification=way["ca"], proxy=os.environ.get("HTTPS_PROXY"))
    profile = ClientProfile(signMethod=way["signature"], httpProfile=http)
    profile.unsignedPayload = way["unsigned"]
    signer = credential.Credential(key["id"], key["secret"], key["token"])
    client = bm_client.BmClient(signer, "ap-guangzhou", profile)
    request = getattr(models, order["call"] + "Request")()
    request.from_json_string(json.dumps(order["with"]))
    try:
        response = getattr(client, order["call"])(request)
    except TencentCloudSDKException as error:
        raise orders.Refused(code=error.get_code(), message=error.get_message(),
                             request_id=error.get_request_id())
    return json.loads(response.to_json_string())


version = "%s with tencentcloud-sdk-python-common %s" % (
    metadata.version("tencentcloud-sdk-python-bm"),
    metadata.version("tencentcloud-sdk-python-common"))
orders.serve(version, perform)
