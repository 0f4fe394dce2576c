"""``python -m local.demo`` as its user runs it: the quick run to its end, shuffled labels refused, and what goes wrong in plain words.

What takes minutes is marked ``demo`` and belongs to ``make test-demo``.
"""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo_command import LONGEST_SECONDS, ROOT, Demo
from working_copy import copy_to

from embedded_aws.tools import launcher

STEPS = [
    "1 data", "2 synth", "3 deploy", "4 tune, evaluate, gate", "5 release", "6 predict and review", "7 drift to tweets",
    "8 retrain and roll out", "9 before and after",
]  # fmt: skip

pytestmark = pytest.mark.timeout(LONGEST_SECONDS + 60)  # a whole demo is the set-up of its tests


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, str]]:
    """The quick run to its end, left running as ``make up`` does, and what it printed.

    It runs where little can be taken for granted: in a folder with a space, ``&`` and a letter beyond ASCII, without a home folder that
    could be written to or made, with a profile of AWS that is not there.
    """
    project = copy_to(tmp_path_factory.mktemp("whole") / "plät form & x")
    demo = Demo(project, project)
    code, said = demo.run("--quick", "--seed", "2", "--keep", HOME="/dev/null/home", AWS_PROFILE="of-a-real-account")
    try:
        assert code == 0, said
        yield demo, said
    finally:
        emulator = launcher.find(demo.folder / "run")
        if emulator is not None:
            emulator.stop()
        assert demo.leftovers() == []


# -- the whole loop ----------------------------------------------------------------------------------


@pytest.mark.demo
def test_every_step_ran_and_says_how_long(whole: tuple[Demo, str]) -> None:
    demo, said = whole
    assert list(demo.summary["seconds"]) == STEPS
    assert all(step in said for step in STEPS)
    assert demo.summary["outcome"] in ("new model promoted", "new model rolled back", "new model inconclusive")
    assert demo.summary["reason"]


@pytest.mark.demo
def test_nothing_complains_of_the_folder_or_the_missing_home(whole: tuple[Demo, str]) -> None:
    said = whole[1].lower()
    assert [word for word in ("warning", "traceback", "home", "not a directory", "permission denied") if word in said] == []


@pytest.mark.demo
def test_the_figures_hang_together(whole: tuple[Demo, str]) -> None:
    summary = whole[0].summary
    assert [trial["status"] for trial in summary["trials"]].count("Completed") >= 1
    best = next(trial for trial in summary["trials"] if trial["name"] == summary["best_trial"])
    assert best["objective"] == max(trial["objective"] for trial in summary["trials"] if trial["objective"] is not None)
    for score in summary["scores"].values():
        for figure in score.values():
            assert 0 <= figure["low"] <= figure["value"] <= figure["high"] <= 1
    assert {"champion", "majority", "tfidf", "human_1", "human_3"} <= set(summary["scores"])
    assert summary["scores"]["champion"]["macro_f1"]["value"] > summary["scores"]["majority"]["macro_f1"]["value"]
    assert 0 < summary["review_rate"] < 1
    for domain in ("tweets", "amazon"):
        assert {"before", "after", "gain"} <= set(summary["before_after"][domain])


@pytest.mark.demo
def test_every_prediction_is_accounted_for_and_no_call_was_denied(whole: tuple[Demo, str]) -> None:
    summary = whole[0].summary
    predictions = summary["predictions"]
    states = ("not_required", "requested", "in_review", "reviewed", "dead_lettered")
    assert predictions["unaccounted"] == 0
    assert predictions["accepted"] == sum(predictions[state] for state in states)
    assert predictions["reviewed"] > 0
    assert (predictions["requested"], predictions["in_review"], predictions["dead_lettered"]) == (0, 0, 0)
    assert summary["iam"]["calls"] > 1_000
    assert summary["iam"]["denied_calls"] == []


@pytest.mark.demo
def test_drift_is_found_in_tweets_and_not_in_reviews(whole: tuple[Demo, str]) -> None:
    summary = whole[0].summary
    first = summary["drift"][0]
    assert (first["domain"], first["alarm"]) == ("amazon", "OK")
    assert 0 < summary["drift_detected_after"] <= summary["drift_alarm_after"]


@pytest.mark.demo
def test_tweets_are_no_drift_to_the_model_that_was_retrained_for_them(whole: tuple[Demo, str]) -> None:
    summary = whole[0].summary
    if summary["outcome"] != "new model promoted":
        assert summary["drift_score_after_retraining"] is summary["drift_alarm_after_retraining"] is None, (
            "there is no new champion to assess"
        )
        return
    before = max(point["score"] for point in summary["drift"] if point["domain"] == "tweets" and point["score"] is not None)
    after = summary["drift_score_after_retraining"]
    # Some thirty reference texts: a window is above the threshold by chance now and then, and then the alarm must say so.
    assert after < before / 2
    assert summary["drift_alarm_after_retraining"] == ("ALARM" if after > 1 else "OK")
    assert summary["retraining"]["reference"] > 0


@pytest.mark.demo
def test_every_new_label_is_accounted_for(whole: tuple[Demo, str]) -> None:
    demo, said = whole
    labels = dict(demo.summary["retraining"]["labels"])
    assert labels["trained_on"] > 0
    assert labels.pop("new") == sum(labels.values())
    assert f"{labels['trained_on']} trained on" in said
    assert f"{labels['trained_on']} trained on" in (demo.folder / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.demo
def test_weights_go_up_step_by_step(whole: tuple[Demo, str]) -> None:
    weights = whole[0].summary["rollout"]["weights"]
    assert all(abs(point["champion"] + point["challenger"] - 1) < 1e-3 for point in weights)
    assert weights[0]["challenger"] > 0


def outside(page: str) -> list[str]:
    """What a page loads or leads to, but for its own parts."""
    return [link for link in re.findall(r"""(?:src|href)=["']([^"']+)""", page) if not link.startswith(("data:", "#"))]


@pytest.mark.demo
def test_the_report_needs_nothing_else(whole: tuple[Demo, str]) -> None:
    demo, said = whole
    report = (demo.folder / "out" / "report.html").read_text(encoding="utf-8")
    assert str(demo.folder / "out" / "report.html") in said
    assert demo.summary["outcome"] in report
    assert "<svg" in report or "data:image/png;base64," in report
    data_report = (demo.folder / "out" / "data-report.html").read_text(encoding="utf-8")
    assert outside(report) == ["data-report.html"]
    assert outside(data_report) == []


@pytest.mark.demo
def test_what_is_left_running_answers_as_printed(whole: tuple[Demo, str]) -> None:
    said = whole[1]
    (page,) = re.findall(r"worker page +(\S+)", said)
    with urllib.request.urlopen(page, timeout=30) as response:  # noqa: S310  (the worker page on 127.0.0.1)
        assert response.status == 200
    commands = re.findall(r"^ +(curl .+)$", said, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
        assert json.loads(done.stdout)["label"] in ("negative", "neutral", "positive"), done.stdout


# -- what goes wrong ---------------------------------------------------------------------------------


def test_a_run_that_was_killed_is_started_clean_and_says_so(demo: Demo) -> None:
    process = demo.start("--quick")
    demo.comes_up()
    process.kill()
    process.communicate()
    process = demo.start("--quick")
    lines: list[str] = []
    while not any(line.startswith("1 data") for line in lines):
        line = process.stdout.readline() if process.stdout else ""
        assert line, lines
        lines.append(line)
    assert any("starting clean" in line for line in lines), lines
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert demo.leftovers() == []


def test_a_closed_terminal_leaves_nothing_running_and_says_so_in_the_summary(demo: Demo) -> None:
    where = ["--output", str(demo.folder / "out"), "--run-dir", str(demo.folder / "run"), "--port", str(launcher.free_port())]
    screen, terminal = pty.openpty()
    own_it = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    process = subprocess.Popen(
        [sys.executable, "-c", own_it, "-m", "local.demo", "--quick", *where],
        cwd=ROOT, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
    )  # fmt: skip
    os.close(terminal)
    demo.comes_up()
    os.close(screen)
    assert process.wait(timeout=60) == 130
    assert demo.summary["outcome"] == "interrupted"
    assert demo.leftovers() == []


def test_a_run_goes_on_without_its_terminal_when_nohup_says_so(demo: Demo) -> None:
    process = demo.start("--quick", nohup=True)
    demo.comes_up()
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=2)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert demo.leftovers() == []


def test_a_taken_port_is_named_with_what_to_do(demo: Demo) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = demo.run("--quick", "--port", str(port))
    assert code == 1
    assert f"port {port} is taken" in said
    assert "EMBEDDED_AWS_PORT" in said
    assert demo.leftovers() == []


def test_without_node_nothing_is_started(demo: Demo, tmp_path: Path) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    code, said = demo.run("--quick", PATH=str(empty))
    assert code == 1
    assert "Node.js" in said
    assert demo.leftovers() == []


def test_a_folder_with_other_files_is_not_emptied(demo: Demo) -> None:
    kept = demo.folder / "run" / "thesis.txt"
    kept.parent.mkdir()
    kept.write_text("do not lose me")
    code, said = demo.run("--quick")
    assert code == 1
    assert "would be emptied" in said
    assert kept.read_text() == "do not lose me"


@pytest.mark.parametrize("options", [["--seed", "many"], ["--port", "x"], ["--unknown"]])
def test_wrong_options_are_named(demo: Demo, options: list[str]) -> None:
    code, said = demo.run(*options)
    assert code == 2
    assert options[0] in said


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 kB; skipped where this user may not mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("full", ["--output", "--run-dir"])
def test_a_full_disk_is_named_with_what_to_do(demo: Demo, small_disk: Path, full: str) -> None:
    code, said = demo.run("--quick", full, str(small_disk / "here"))
    assert code == 1
    assert "the disk is full" in said
    assert "make room" in said
    assert "Traceback" not in said
    assert demo.leftovers() == []


def test_a_file_that_cannot_be_used_is_named_before_anything_starts(demo: Demo) -> None:
    data = demo.folder / "texts.csv"
    data.write_text("text,label\ngood,a\n,b\nbad,a\nbad,b\n", encoding="utf-8")
    code, said = demo.run("--data", str(data))
    assert code == 2
    assert "line 3" in said
    assert "different labels" in said
    assert not (demo.folder / "run").exists()
    assert not (demo.folder / "out").exists()
