"""Every private interface of ministack that ``embedded_aws`` reaches into, held to a contract, so an upgrade fails loudly.

The hooks are found in the source; what each must look like (signature, or type) is in ``ministack_hooks.json``. A new hook
needs a line there: the failing test prints it. What the hooks do is tested by the tests of what uses them.
"""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from embedded_aws.tools.launcher import EMULATOR_PYTHON, ROOT

SOURCE = ROOT / "embedded_aws"
CONTRACTS: dict[str, str] = json.loads((Path(__file__).parent / "ministack_hooks.json").read_text())
DESCRIBE = """
import importlib, inspect, json, re, sys
from functools import reduce

ADDRESS = re.compile(" at 0x[0-9a-f]+")

def describe(hook):
    module, _, path = hook.partition(":")
    try:
        value = reduce(getattr, path.split("."), importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        return f"missing: {error}"
    if not callable(value):
        return type(value).__name__
    kind = "class" if inspect.isclass(value) else "async " if inspect.iscoroutinefunction(value) else ""
    return kind + ADDRESS.sub("", str(inspect.signature(value)))

json.dump({hook: describe(hook) for hook in json.load(sys.stdin)}, sys.stdout)
"""


def in_emulator(code: str, text: str = "") -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [str(EMULATOR_PYTHON), "-c", code], input=text, capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )


def _modules(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """``(local name, what it means)`` of every import from ministack; a name is ``module`` or ``module:attribute``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ministack":
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("ministack") and alias.asname:
                    yield alias.asname, alias.name


def _chain(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Attribute):
        return [*_chain(node.value), node.attr]
    return [node.id] if isinstance(node, ast.Name) else []


def hooks_in(source: str) -> set[str]:
    """``module:attribute`` of everything that a source file uses of ministack."""
    tree = ast.parse(source)
    names = dict(_modules(tree))
    found = set()
    used = set()
    for node in ast.walk(tree):
        chain = _chain(node) if isinstance(node, ast.Attribute) else []
        if len(chain) > 1 and chain[0] in names:
            used.add(chain[0])
            private = [part for part in chain[2:] if part.startswith("_") and not part.startswith("__")]
            found.add(f"{names[chain[0]]}:{'.'.join([chain[1], *private])}")
    # a function or class that was imported by name
    for name in names.keys() - used:
        module, _, attribute = names[name].rpartition(".")
        found.add(f"{module}:{attribute}")
    return found


@cache
def used_hooks() -> frozenset[str]:
    return frozenset(hook for path in SOURCE.rglob("*.py") for hook in hooks_in(path.read_text()))


@cache
def described() -> dict[str, str]:
    done = in_emulator(DESCRIBE, json.dumps(sorted(used_hooks() | CONTRACTS.keys())))
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_every_hook_in_use_has_a_contract() -> None:
    missing = {hook: described()[hook] for hook in sorted(used_hooks() - CONTRACTS.keys())}
    assert not missing, f"add to embedded_aws/tests/ministack_hooks.json:\n{json.dumps(missing, indent=2)}"


def test_no_contract_outlives_its_hook() -> None:
    assert sorted(CONTRACTS.keys() - used_hooks()) == []


@pytest.mark.parametrize("hook", sorted(CONTRACTS))
def test_hook_is_as_agreed(hook: str) -> None:
    assert described()[hook] == CONTRACTS[hook]


def test_the_stock_provisioners_have_the_types_that_are_patched_and_lack_those_that_are_added() -> None:
    code = """
import json
from embedded_aws.cloudformation import registry
from embedded_aws.cloudformation.schema import SCHEMAS
from ministack.services.cloudformation import provisioners
stock = {name: sorted(handler) for name, handler in provisioners._RESOURCE_HANDLERS.items()}
patched = []
registry.patch = lambda name, *_, **__: patched.append(name)
from embedded_aws.cloudformation import patches
patches.patch = registry.patch
patches.install()
print(json.dumps({"patched": {name: stock.get(name) for name in patched}, "added": [name for name in SCHEMAS if name in stock]}))
"""
    done = in_emulator(code)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["patched"]
    assert [name for name, verbs in found["patched"].items() if not verbs or not {"create", "update", "delete"} <= set(verbs)] == []
    assert found["added"] == ["AWS::ApiGateway::RequestValidator"], "ministack knows this one and keeps nothing of it"


def test_imports_and_chains_are_found() -> None:
    source = """
from ministack import app
from ministack.services import sqs as queues
from ministack.core.responses import get_region
app.SERVICE_HANDLERS["x"] = queues._queues.get(get_region())
queues._queues._data.clear()
"""
    assert hooks_in(source) == {
        "ministack.app:SERVICE_HANDLERS",
        "ministack.services.sqs:_queues",
        "ministack.services.sqs:_queues._data",
        "ministack.core.responses:get_region",
    }


def test_another_version_is_refused() -> None:
    code = (
        "from ministack import app\napp._version = lambda: '9.9.9'\nfrom embedded_aws.server import pinned\npinned.require_pinned_version()"
    )
    done = in_emulator(code)
    assert done.returncode != 0
    assert "extends ministack 1.5.33, but 9.9.9 is installed" in done.stderr


def test_the_installed_version_is_the_pinned_one() -> None:
    assert in_emulator("from embedded_aws.server import pinned\npinned.require_pinned_version()").returncode == 0
    assert "ministack==1.5.33" in (ROOT / "embedded_aws" / "requirements.lock").read_text()
