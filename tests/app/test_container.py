"""A real training job and a real model server on a small sample, through the container contract."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from contracts.dataset import Row
from embedded_aws.containers.serving import make_server
from embedded_aws.testing.jobs import archive
from embedded_aws.tools import processes
from local.texts import corpus
from local.texts.splitting import split_by_group
from model_code.inference import model_fn
from stacks.constructs.model_code_asset import model_code_archive

ROOT = Path(__file__).resolve().parents[2]


def prepare(root: Path, **hyperparameters: str) -> Path:
    """A folder that stands for /opt/ml, with 160 texts for training and 60 for validation."""
    rows = [rated.row for rated in corpus.rated_texts("amazon")][:300]
    splits = split_by_group(rows, seed=1)
    for channel, part in (("train", splits["train"][:160]), ("validation", splits["validation"][:60])):
        _write(root / "input" / "data" / channel, part)
    (root / "input" / "data" / "base").symlink_to(corpus.base_model_folder())
    code = root / "input" / "data" / "code"
    code.mkdir(parents=True)
    (code / "0123.gz").write_bytes(model_code_archive())
    config = root / "input" / "config"
    config.mkdir()
    values = {"layers": "3", "trained_layers": "2", "epochs": "2", "sagemaker_program": "train.py",
              "sagemaker_submit_directory": "/opt/ml/input/data/code/0123.gz", **hyperparameters}  # fmt: skip
    (config / "hyperparameters.json").write_text(json.dumps(values))
    (config / "inputdataconfig.json").write_text(json.dumps({name: {} for name in ("base", "train", "validation", "code")}))
    return root


def _write(folder: Path, rows: list[Row]) -> None:
    folder.mkdir(parents=True)
    (folder / "data.jsonl").write_text("".join(row.to_json() + "\n" for row in rows), encoding="utf-8")


def job(root: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TRAINING_JOB_NAME": "job-1"}
    return subprocess.Popen(
        [sys.executable, "-m", "embedded_aws.containers.training_toolkit", "--root", str(root)],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def epochs_told(output: str) -> list[str]:
    return re.findall(r"^epoch=(\d+) .*validation:macro_f1=[0-9.]+$", output, re.MULTILINE)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = prepare(tmp_path_factory.mktemp("job"))
    process = job(root)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    assert epochs_told(output)[:2] == ["1", "2"]
    return root


def post(port: int, body: bytes, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json", **headers})
    response = connection.getresponse()
    return response.status, response.read()


def test_artifact_serves_the_documented_answer_and_refuses_bad_input(trained: Path) -> None:
    server = make_server(trained / "model", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    try:
        status, body = post(port, json.dumps({"inputs": ["I love it", "<script>alert(1)</script>"]}).encode())
        answers = json.loads(body)
        assert status == 200
        assert [set(a) for a in answers] == [
            {
                "label", "label_name", "confidence", "probabilities", "model_version", "review_threshold", "tokens", "oov_tokens",
                "truncated", "pieces", "unread_pieces",
            }
        ] * 2  # fmt: skip
        for answer in answers:
            assert answer["model_version"] == "job-1"
            assert answer["confidence"] == max(answer["probabilities"].values()) == answer["probabilities"][answer["label"]]
            assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        for bad in (b"{", b"{}", b'{"inputs": ""}', b'{"inputs": [1]}', b"[]"):
            status, body = post(port, bad)
            assert status == 400
            assert json.loads(body)["type"] in {"ValueError", "InvalidText"}
        status, body = post(port, b'{"inputs": "I love it"}', Accept="text/csv")
        assert (status, "'text/csv': allowed are application/json and */*" in json.loads(body)["message"]) == (400, True)
    finally:
        server.shutdown()
        server.server_close()


def test_killed_job_resumes_from_its_checkpoint(tmp_path: Path, trained: Path) -> None:
    root = prepare(tmp_path / "opt-ml", epochs="3")
    first = job(root)
    deadline = time.monotonic() + 120
    while not (root / "checkpoints" / "job-1.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert first.returncode != 0
    # Whatever it was writing, the epochs before have left a whole model.
    assert model_fn(str(root / "model")).predict(["I love it"])[0]["model_version"] == "job-1"
    shutil.rmtree(root / "model")
    shutil.rmtree(root / "code")
    second = job(root)
    output, _ = second.communicate(timeout=200)
    assert second.returncode == 0, output
    assert "resuming at epoch" in output
    assert epochs_told(output)[0] != "1"


def test_failing_job_says_why_in_the_failure_file(tmp_path: Path) -> None:
    root = prepare(tmp_path / "opt-ml", layers="99")
    process = job(root)
    process.communicate(timeout=100)
    assert process.returncode != 0
    said = (root / "output" / "failure").read_text()
    reason = "InvalidHyperparameter: hyper-parameter layers = 99: allowed is 1 to 24 (ValueError)"
    assert said.startswith(f'ExecuteUserScriptError:\nExitCode 1\nErrorMessage "{reason}\n')


def test_a_failing_evaluation_says_why_in_its_exit_message(tmp_path: Path) -> None:
    message = tmp_path / "output" / "message"
    ended = subprocess.run(
        [sys.executable, str(ROOT / "model_code" / "entrypoints" / "evaluate.py"), "--input-dir", str(tmp_path / "input")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "EXIT_MESSAGE_FILE": str(message)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    dataset = tmp_path / "input" / "dataset"
    reason = f"InvalidDataset: {dataset}/manifest.json does not exist: {dataset} is not a dataset version (ValueError)"
    assert message.read_text() == reason
    assert ended.stderr.startswith(message.read_text())


def test_a_killed_job_takes_its_program_along(tmp_path: Path) -> None:
    code = tmp_path / "input" / "data" / "code"
    code.mkdir(parents=True)
    (code / "code.tar.gz").write_bytes(archive("import os, time\nprint('pid', os.getpid(), flush=True)\ntime.sleep(600)"))
    config = tmp_path / "input" / "config"
    config.mkdir()
    values = {"sagemaker_program": "train.py", "sagemaker_submit_directory": "/opt/ml/input/data/code/code.tar.gz"}
    (config / "hyperparameters.json").write_text(json.dumps(values))
    process = job(tmp_path)
    assert process.stdout is not None
    pid = next(int(line.split()[1]) for line in process.stdout if line.startswith("pid "))
    process.kill()
    deadline = time.monotonic() + 5
    while processes.identity(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert processes.identity(pid) is None
