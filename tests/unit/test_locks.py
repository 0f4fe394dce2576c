"""The locks: every requirement as pinned, each file by its hash, nothing that only one machine has."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = {
    "requirements.lock": ("requirements.txt", "model_code/requirements.txt", "tests/requirements.txt"),
    "embedded_aws/requirements.lock": ("embedded_aws/requirements.txt",),
    "lambdas/layer/requirements.lock": ("lambdas/layer/requirements.txt",),
    "lambdas/layer/review-page.lock": ("lambdas/layer/review-page.txt",),
    "model_code/base-model.lock": ("model_code/base-model.txt",),
}
BUILD_PARTS = re.compile(r"nvidia|cuda|triton")
"""What a CUDA build of torch names on top of what every build needs."""


def requirements(name: str) -> list[Requirement]:
    lines = (line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return [Requirement(line) for line in lines if line]


def locked(name: str) -> dict[str, tuple[str, list[str]]]:
    """Each package of a lock -> its requirement as written, and the hashes of its files."""
    text = re.sub(r"^ *#.*\n?", "", (ROOT / name).read_text(), flags=re.MULTILINE).replace("\\\n", "")
    parts = [line.split() for line in text.splitlines() if line]
    return {canonicalize_name(Requirement(first).name): (first, rest) for first, *rest in parts}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_pins_and_hashes_alone(lock: str) -> None:
    for pin, hashes in locked(lock).values():
        assert re.fullmatch(r"[a-z0-9.-]+(\[[a-z,-]+\])?==[0-9a-z.]+", pin), pin  # no URL, no local version such as +cpu
        assert hashes, pin
        assert all(re.fullmatch("--hash=sha256:[0-9a-f]{64}", part) for part in hashes), pin


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_its_requirements_pin(lock: str) -> None:
    pins = {name: str(Requirement(pin).specifier) for name, (pin, _) in locked(lock).items()}
    wanted = {canonicalize_name(one.name): str(one.specifier) for name in LOCKS[lock] for one in requirements(name)}
    if lock == "requirements.lock":
        assert wanted.pop("torch").startswith("==")
        assert "torch" not in pins  # installed by itself: its hash depends on the build
    assert {name: pins.get(name) for name in wanted} == wanted


def test_the_lock_holds_what_torch_needs() -> None:
    needed = [Requirement(text) for text in requires("torch") or ()]
    needed = [one for one in needed if not (one.marker and not one.marker.evaluate({"extra": ""})) and not BUILD_PARTS.search(one.name)]
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["dependency-metadata"]
    assert [one["name"] for one in declared] == ["torch"]
    assert {str(one) for one in needed} == {str(Requirement(text)) for text in declared[0]["requires-dist"]}
    pins = locked("requirements.lock")
    for one in needed:
        pin, _ = pins[canonicalize_name(one.name)]
        assert one.specifier.contains(pin.partition("==")[2]), f"torch needs {one}, locked is {pin}"
