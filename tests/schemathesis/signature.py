"""Signs what is about to be sent, to the byte (contract 2.2, 2.3)."""

import base64
import hashlib
import hmac
import itertools
import time
from urllib.parse import parse_qsl, urlencode, urlsplit

from requests.auth import AuthBase

PATH_V2 = "/v2/index.php"
PATH_V3 = "/"
VERSION = "2018-04-23"

# The common parameters of API 2.0; no action has a parameter of such a name.
COMMON = {"Action", "SecretId", "Timestamp", "Nonce", "Signature", "SignatureMethod", "Token"}

_number = itertools.count(1)


class SignedForm(AuthBase):
    """API 2.0: the common parameters and their signature come to the form."""

    def __init__(self, key, action):
        self.key, self.action = key, action

    def __call__(self, request):
        body = request.body or ""
        body = body.decode("utf-8", "surrogateescape") if isinstance(body, bytes) else body
        given = parse_qsl(body, keep_blank_values=True, errors="surrogateescape")
        fields = [(name, value) for name, value in given if name not in COMMON]
        fields += [("Action", self.action), ("SecretId", self.key["secret_id"]),
                   ("Timestamp", str(int(time.time()))), ("Nonce", str(next(_number))),
                   ("SignatureMethod", "HmacSHA256")]
        folded = sorted((_bytes(name.replace("_", ".")), _bytes(value)) for name, value in fields)
        joined = b"&".join(name + b"=" + value for name, value in folded)
        host = urlsplit(request.url).netloc
        text = f"POST{host}{PATH_V2}?".encode() + joined
        digest = hmac.new(self.key["secret_key"].encode(), text, hashlib.sha256).digest()
        fields.append(("Signature", base64.b64encode(digest).decode()))
        request.headers["Content-Type"] = "application/x-www-form-urlencoded"
        request.prepare_body(urlencode(fields, errors="surrogateescape"), None)
        return request


class SignedJson(AuthBase):
    """API 3.0: the body stays as it is, the signature comes to the headers."""

    def __init__(self, key, action):
        self.key, self.action = key, action

    def __call__(self, request):
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        now = int(time.time())
        # The number makes every signature another one: the same request again would be answered
        # with its first answer (contract 2.6).
        ours = {"Content-Type": "application/json", "Host": urlsplit(request.url).netloc,
                "X-TC-Action": self.action, "X-TC-TraceId": str(next(_number)),
                "X-TC-Timestamp": str(now), "X-TC-Version": VERSION}
        request.headers.update(ours)
        request.headers["Authorization"] = self._authorization(now, ours, body)
        return request

    def _authorization(self, now, headers, body):
        signed = {name.lower(): value.lower() for name, value in headers.items()}
        names = ";".join(sorted(signed))
        lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        canonical = f"POST\n{PATH_V3}\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        date = time.strftime("%Y-%m-%d", time.gmtime(now))
        scope = f"{date}/bm/tc3_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"TC3-HMAC-SHA256\n{now}\n{scope}\n{digest}"
        derived = ("TC3" + self.key["secret_key"]).encode()
        for part in (date, "bm", "tc3_request"):
            derived = hmac.new(derived, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(derived, text.encode(), hashlib.sha256).hexdigest()
        return (f"TC3-HMAC-SHA256 Credential={self.key['secret_id']}/{scope}, "
                f"SignedHeaders={names}, Signature={signature}")


def _bytes(text):
    return text.encode("utf-8", "surrogateescape")
