"""What the Python clients here share: orders come in, answers go out, one line of JSON each.

An order:  {"call": action, "with": parameters, "way": how to send it, "key": with which key}
An answer: {"answer": what the client returned}, {"refused": the error as the client tells it},
           or {"broken": why there is neither}
The first line says which release of the client this is.
"""

import json
import os
import subprocess
import sys
import traceback


class Refused(Exception):
    """The service refused, and the client said so in its own way."""

    def __init__(self, **said):
        super().__init__(said)
        self.said = said


def serve(version, perform):
    """Does every order until there are no more."""
    say({"version": version})
    for line in sys.stdin:
        try:
            say({"answer": perform(json.loads(line))})
        except Refused as refused:
            say({"refused": refused.said})
        except Exception:
            say({"broken": traceback.format_exc()})


def say(what):
    print(json.dumps(what), flush=True)


def data_of(body):
    """The data in an answer of API 2.0. Its clients hand over the body and judge nothing."""
    if body["code"] != 0:
        raise Refused(code=body["code"], name=body["codeDesc"], message=body["message"])
    assert body.get("codeDesc") in (None, "", "Success"), body
    return body["data"]


def run(program, arguments, **environment):
    """Runs a program that was installed beside this Python."""
    program = os.path.join(os.path.dirname(sys.executable), program)
    return subprocess.run([program, *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, env={**os.environ, **environment})
