"""A function's archive holds what it imports and nothing else: a change in one process does not redeploy the others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stacks.constructs.function_archive import ROOT, archive_files, function_archive

FUNCTIONS = sorted(str(path.parent.relative_to(ROOT / "lambdas")) for path in (ROOT / "lambdas").glob("*/*/handler.py"))
PROCESSES = {"prediction", "review", "labeling", "tuning", "rollout", "retraining", "monitoring", "custom_resources"}


def changed_by(module: str) -> set[str]:
    """The functions that are deployed again when ``module`` changes."""
    return {function for function in FUNCTIONS if module in archive_files(function)}


def test_every_function_is_in_a_process() -> None:
    assert {function.split("/")[0] for function in FUNCTIONS} == PROCESSES
    assert len(FUNCTIONS) == len({function.split("/")[1] for function in FUNCTIONS}), "a function's name is its folder's"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_archive_has_modules_of_its_own_process_and_of_common_only(function: str) -> None:
    process = function.split("/", maxsplit=1)[0]
    for name in archive_files(function):
        assert name.split("/")[:2] in (["lambdas", "__init__.py"], ["lambdas", "common"], ["lambdas", process]) or name.startswith(
            ("contracts/", "review_page/")
        ), f"{function} imports {name}, which belongs to another process: what several processes need goes to lambdas/common"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_archive_has_no_other_function(function: str) -> None:
    others = {f"lambdas/{other}/" for other in FUNCTIONS if other != function}
    assert not [name for name in archive_files(function) if any(name.startswith(other) for other in others)]


def test_a_change_in_one_process_redeploys_no_other() -> None:
    rollout = {function for function in FUNCTIONS if function.startswith("rollout/")}
    assert changed_by("lambdas/rollout/judge_rollout/policy.py") == {"rollout/judge_rollout"}
    assert {"rollout/judge_rollout", "rollout/shift_weights"} <= changed_by("lambdas/rollout/progress.py") <= rollout
    assert changed_by("lambdas/review/a2i.py") == {"review/start_review"}
    hosted = {"review/announce_tasks", "review/review_page", "review/start_review", "review/sweep"}
    assert changed_by("lambdas/review/port.py") == {"review/a2i_ended", "review/collect_review"} | hosted
    assert changed_by("lambdas/review/hosted_tasks/store.py") == changed_by("review_page/assets/worker.js") == {"review/review_page"}


def test_the_worker_template_lies_beside_the_page(tmp_path: Path) -> None:
    (tmp_path / "worker.liquid").write_text("one")
    first = function_archive("review/review_page", beside=[tmp_path / "worker.liquid"])
    (tmp_path / "worker.liquid").write_text("two")
    second = function_archive("review/review_page", beside=[tmp_path / "worker.liquid"])
    read = [(folder / "lambdas/review/review_page/worker.liquid").read_text() for folder in (first, second)]
    assert read == ["one", "two"]


def test_queries_and_packages_are_in_the_archive() -> None:
    files = archive_files("monitoring/detect_drift")
    assert "lambdas/monitoring/detect_drift/recent_predictions.sql" in files
    assert {"lambdas/__init__.py", "lambdas/monitoring/__init__.py", "lambdas/monitoring/detect_drift/__init__.py"} <= set(files)


def test_imports_within_functions_and_of_whole_modules_are_found(tmp_path: Path) -> None:
    function = tmp_path / "lambdas" / "prediction" / "answer"
    common = tmp_path / "lambdas" / "common"
    for folder in (function, common):
        folder.mkdir(parents=True)
    for folder in (function, common, function.parent, common.parent):
        (folder / "__init__.py").touch()
    (function / "handler.py").write_text("import lambdas.common.one\ndef f():\n    from lambdas.common import two\n")
    (common / "one.py").write_text("from lambdas.common.three import x\n")
    for name in ("two", "three", "four"):
        (common / f"{name}.py").touch()
    found = {Path(name).stem for name in archive_files("prediction/answer", tmp_path) if name.startswith("lambdas/common/")}
    assert found == {"__init__", "one", "two", "three"}


def test_a_folder_without_a_handler_is_named(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "lambdas" / "rollout" / "check_release", tmp_path / "lambdas" / "rollout" / "check_release")
    (tmp_path / "lambdas" / "rollout" / "check_release" / "handler.py").unlink()
    with pytest.raises(FileNotFoundError, match=r"handler\.py does not exist: every function folder has a handler\.py"):
        archive_files("rollout/check_release", tmp_path)
