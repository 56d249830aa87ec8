"""What schemathesis does not know by itself: signatures, the lab's own values, and which answers
of a service that always says 200 are right."""

import atexit
import json
import os
import re
from collections import Counter

import schemathesis

from document import BUGS, EXCUSES, Document, error, message, without_common
from signature import PATH_V2, SignedForm, SignedJson
from lab import LEFT_OUT, Lab

SIGNED = os.environ["OPENCPM_SIGNED"] == "1"
lab = Lab()
document = None
# How often each operation was answered with each error, or with success.
answers = Counter()


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Takes away what signing writes anyhow, and adds values that mean something in this lab."""
    global document
    document = Document(raw_schema)
    for path, methods in raw_schema["paths"].items():
        operation, action = methods["post"], document.action(path)
        if SIGNED:
            operation.pop("parameters", None)
        (content,) = operation["requestBody"]["content"].values()
        schema = without_common(content["schema"]) if SIGNED else content["schema"]
        content["schema"] = _with_known_values(action, schema)


def _with_known_values(action, schema):
    """Bounds stay, so that generated values beyond them are still tried."""
    def base(name):
        return re.sub(r"^\^|[.\\].*", "", name)

    def offered(name, one):
        known = lab.known(action, base(name))
        if not known:
            return one
        if one.get("type") == "array":
            return {**one, "items": {**one["items"], "enum": known}}
        if one.get("format") == "password":
            return {"anyOf": [{"enum": known}, one]}
        return {**one, "enum": known}

    kinds = ("properties", "patternProperties")
    return {**schema, **{kind: {name: offered(name, one) for name, one in schema[kind].items()
                                if base(name) not in LEFT_OUT.get(action, ())}
                         for kind in kinds if kind in schema}}


@schemathesis.hook
def before_call(context, case, kwargs):
    if SIGNED:
        is_v2 = case.path.startswith(PATH_V2)
        signed = SignedForm if is_v2 else SignedJson
        kwargs["auth"] = signed(lab.key, document.action(case.path))


@schemathesis.hook
def after_call(context, case, response):
    """Counts; and ends maintenance, which refuses all changes, as soon as it began."""
    answers[case.path, error(response.json()) or "success"] += 1
    if SIGNED and document.action(case.path) == "ModifyMaintenance":
        lab.ask("ModifyMaintenance", enabled=0)


@atexit.register
def write_answers():
    told = {}
    for (path, name), count in sorted(answers.items()):
        told.setdefault(path, {})[name] = count
    with open(os.environ["OPENCPM_ANSWERS_FILE"], "w", encoding="utf-8") as file:
        json.dump(told, file, indent=2)


@schemathesis.check
def content_type_is_exact(ctx, response, case):
    """Clients compare it as a text (contract section 1)."""
    assert response.headers["content-type"] == ["application/json"], response.headers


@schemathesis.check
def answer_fits_what_was_sent(ctx, response, case):
    """An error for what the document does not allow; for what it allows, none that denies it."""
    answer = response.json()
    refused = error(answer)
    assert refused not in BUGS, answer
    if not SIGNED:
        assert refused, "an unsigned request was accepted"
    elif not document.is_valid(case.path, response.request):
        assert refused, "accepted, though the document does not allow it"
    elif refused:
        excused = any(excuse in message(answer) for excuse in EXCUSES)
        assert excused, f"refused, though the document allows it: {answer}"
