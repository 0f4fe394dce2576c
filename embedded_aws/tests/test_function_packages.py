"""A function's processes share one unpacked copy of its code and of its layers, and of nothing else."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

ClientFactory = Callable[..., Any]
HANDLER = """
import os
import lettered

def handler(event, context):
    return {"letter": lettered.LETTER, "code": os.path.realpath(__file__), "layer": os.path.realpath(lettered.__file__)}
"""


def archive(name: str, content: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as stream:
        stream.writestr(name, content)
    return file.getvalue()


def test_functions_share_a_layer_and_a_new_version_of_it_is_another_one(aws: ClientFactory, make_role: Callable[..., str]) -> None:
    unique = uuid.uuid4().hex[:8]
    role = make_role(f"packages-{unique}", [], ["lambda.amazonaws.com"])

    def layer(letter: str) -> str:
        content = {"ZipFile": archive("python/lettered.py", f"LETTER = {letter!r}")}
        return str(aws("lambda").publish_layer_version(LayerName=f"letters-{unique}", Content=content)["LayerVersionArn"])

    def told(name: str) -> dict[str, str]:
        answer: dict[str, str] = json.loads(aws("lambda").invoke(FunctionName=f"{name}-{unique}")["Payload"].read())
        return answer

    first = layer("a")
    for name, code in (("one", HANDLER), ("two", f"{HANDLER}# another function\n")):
        aws("lambda").create_function(
            FunctionName=f"{name}-{unique}", Runtime="python3.11", Handler="index.handler", Role=role, Layers=[first],
            Code={"ZipFile": archive("index.py", code)},
        )  # fmt: skip
    one, two = told("one"), told("two")
    assert (one["letter"], two["letter"]) == ("a", "a")
    assert one["layer"] == two["layer"]
    assert one["code"] != two["code"]
    aws("lambda").update_function_configuration(FunctionName=f"one-{unique}", Layers=[layer("b")])
    assert told("one") == {**one, "letter": "b", "layer": told("one")["layer"]}
    assert (told("one")["layer"] != two["layer"], told("two")) == (True, two)
