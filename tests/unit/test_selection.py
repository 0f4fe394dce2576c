"""What ``pytest -m`` need not import: a file is left out only if none of its tests can be selected. And the order of the files."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from embedded_aws.testing.selection import may_select, unread

ROOT = Path(__file__).resolve().parents[2]
FAST = "def test_a() -> None: ...\n"
SOME = f"{FAST}@pytest.mark.slow\ndef test_b() -> None: ...\n"
ALL = f"pytestmark = pytest.mark.slow\n{FAST}"
ALL_AND_A_LIMIT = f"pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]\n{FAST}"
DEMO = f"pytestmark = pytest.mark.timeout(60)\n@pytest.mark.demo\n{FAST}{FAST}"


@pytest.mark.parametrize(
    ("expression", "text", "selected"),
    [
        ("not slow", FAST, True),
        ("not slow", SOME, True),
        ("not slow", ALL, False),
        ("not slow", ALL_AND_A_LIMIT, False),
        ("not demo and not operations and not slow", DEMO, True),
        ("not demo and not operations and not slow", ALL, False),
        ("slow", FAST, False),
        ("slow", SOME, True),
        ("slow", ALL, True),
        ("slow", DEMO, False),
        ("demo or operations", DEMO, True),
        ("demo or operations", ALL, False),
        ("slow and not slow", SOME, False),
        ("slow or timeout", FAST, True),
        ("slow", f"{FAST}# slow, and a watermark.slowly\n", False),
    ],
)
def test_a_file_is_left_out_only_if_nothing_of_it_can_be_selected(expression: str, text: str, selected: bool) -> None:
    assert may_select(expression, text) is selected


def test_a_mark_that_the_file_does_not_name_is_found(tmp_path: Any) -> None:
    (tmp_path / "test_named.py").write_text(ALL)
    (tmp_path / "test_unnamed.py").write_text(FAST)
    items: list[Any] = [
        SimpleNamespace(nodeid=name, path=tmp_path / name, get_closest_marker={"slow": object()}.get)
        for name in ("test_named.py", "test_unnamed.py")
    ]
    assert unread(items) == ["test_unnamed.py"]


def test_every_file_whose_place_in_the_order_is_written_down_is_there() -> None:
    named = re.findall(r'"(tests/[^":{}]+)', (ROOT / "tests" / "conftest.py").read_text(encoding="utf-8"))
    assert len(named) > 10
    assert [path for path in named if not list(ROOT.glob(f"{path}*"))] == []
