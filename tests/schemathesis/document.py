"""What the OpenAPI document says of a request and of its answer."""

import json
import re
from copy import deepcopy
from decimal import Decimal
from urllib.parse import parse_qsl

from jsonschema_rs import Draft202012Validator

from signature import COMMON

_INDEX = re.compile(r"0|[1-9][0-9]*")

# Why a request that fits the document may be refused all the same: what JSON Schema cannot say,
# and what depends on the state of the lab.
EXCUSES = (
    # A lab is one process: it has no name for nodes, and no node.
    "is a name of the API",
    "is neither a host name",
    "not a node's id",
    "there is no node",
    "YYYY-MM-DD",  # the length of months
    "the password must hold at least 2 of",
    "given more than once",  # in a form each item of a list is a property of its own
    "each is N.tagKey",  # values of a tag whose key is not given
    ", not both",
    "a key that may administrate cannot be limited",
    "exists already",
    "there is no ",
    "is not of account",
    "operate status is",
    "device status is",
)
BUGS = {"InternalError", "InternalError.DbError"}


class Document:
    """The document as it is served, before anything is taken away or added for the run."""

    def __init__(self, raw):
        self.paths = deepcopy(raw["paths"])
        self._validators = {}

    def action(self, path):
        return path.split("#")[1]

    def is_valid(self, path, request):
        """Whether the parameters that were really sent, the common ones apart, fit."""
        content = self.paths[path]["post"]["requestBody"]["content"]
        (media_type, body), = content.items()
        schema = body["schema"]
        try:
            sent = _json(request, schema) if "json" in media_type else _form(request, schema)
        except ValueError:
            return False
        if path not in self._validators:
            self._validators[path] = Draft202012Validator(without_common(schema))
        return self._validators[path].is_valid(sent)


def without_common(schema):
    """The schema of a body without the common parameters of API 2.0."""
    properties = {name: one for name, one in schema["properties"].items() if name not in COMMON}
    required = [name for name in schema["required"] if name not in COMMON]
    return {**schema, "properties": properties, "required": required}


def error(answer):
    """The name of the error; `None` for a success."""
    if "Response" in answer:
        return answer["Response"].get("Error", {}).get("Code")
    return None if answer["code"] == 0 else answer["codeDesc"]


def message(answer):
    return answer["Response"]["Error"]["Message"] if "Response" in answer else answer["message"]


def _json(request, schema):
    """The body, in the document's words: `null` is absent, digits are an integer (contract 3)."""
    body = request.body or b"{}"
    sent = json.loads(body, parse_float=Decimal, object_pairs_hook=_once)
    if not isinstance(sent, dict):
        raise ValueError("no object")
    if not sent.keys() <= schema["properties"].keys():
        raise ValueError("an unknown key, whatever its value")
    sent = _without_null(sent)
    return {name: _integers(value, schema["properties"].get(name, {}))
            for name, value in sent.items()}


def _without_null(value):
    """`null` is as good as absent, in a tag too."""
    if isinstance(value, list):
        return [_without_null(item) if isinstance(item, dict) else item for item in value]
    return {name: _without_null(one) if isinstance(one, list) else one
            for name, one in value.items() if one is not None}


def _once(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key is given twice")
    return dict(pairs)


def _integers(value, schema):
    if isinstance(value, list):
        return [_integers(item, schema.get("items", {})) for item in value]
    if schema.get("type") == "integer" and isinstance(value, str):
        return int(value) if re.fullmatch("-?[0-9]+", value) else value
    if isinstance(value, Decimal):
        return str(value) if schema.get("type") == "integer" else float(value)
    return value


def _form(request, schema):
    """The fields, in the document's words: `_` is `.`, lists count from 0 (contract 3)."""
    fields = {}
    body = request.body or b""
    body = body.decode() if isinstance(body, bytes) else body
    for name, value in parse_qsl(body, keep_blank_values=True, errors="strict"):
        name = name.replace("_", ".")
        if name in fields or not name:
            raise ValueError("a name is given twice, or none")
        fields[name] = value
    fields = {name: value for name, value in fields.items() if name not in COMMON}
    lists = {name[:-2] for name in schema["properties"] if name.endswith(".0")}
    for name in lists:
        _count_from_zero(fields, name)
    return {name: _integers(value, schema["properties"].get(re.sub(r"\.\d+$", ".0", name))
                            or schema["properties"].get(name, {}))
            for name, value in fields.items()}


def _count_from_zero(fields, name):
    places = [field[len(name) + 1:] for field in fields if field.startswith(name + ".")]
    if not all(_INDEX.fullmatch(place) for place in places):
        raise ValueError("no index")
    if name in fields:
        if places:
            raise ValueError("given once and as a list")
        places = [""]
        fields[f"{name}."] = fields.pop(name)
    values = [fields.pop(f"{name}.{place}") for place in sorted(places, key=lambda p: int(p or 0))]
    fields.update({f"{name}.{place}": value for place, value in enumerate(values)})
