"""What a prediction costs on its way through the deployed app: model, endpoint, function and gateway."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from embedded_aws.tools import launcher
from local.bench.measure import Comparison, Way
from local.demo import build
from local.demo.budget import QUICK
from local.demo.retraining import model_uri
from local.demo.session import Session
from local.demo.source import reviews_and_tweets
from local.demo.summary import Summary
from model_code.inference import LoadedModel, model_fn
from stacks.settings import load_settings

TIME_SCALE = 0.02
CALLS = 20


@dataclass(frozen=True)
class Released:
    """A deployed app with a release, its champion loaded in this process, and texts that it was not trained on."""

    session: Session
    model: LoadedModel
    texts: Sequence[str]

    def invoke(self, texts: Sequence[str]) -> bytes:
        """The body of one answer of the endpoint."""
        body = json.dumps({"inputs": list(texts)})
        runtime = self.session.client("sagemaker-runtime")
        answer: bytes = runtime.invoke_endpoint(EndpointName=self.session.names.endpoint, ContentType="application/json", Body=body)[
            "Body"
        ].read()
        return answer


@contextmanager
def released(folder: Path, console: Console) -> Iterator[Released]:
    """The first half of a quick demo, in an embedded AWS of its own.

    Raises:
        What the demo's steps raise.
    """
    settings = QUICK.apply(load_settings(launcher.ROOT / "settings" / "dev.yaml"))
    emulator = launcher.start(
        folder / "run", port=launcher.free_port(), time_scale=TIME_SCALE, region=settings.region, preload=launcher.IMAGE_MODULES, wait=False
    )
    session = Session(emulator, settings, folder, Summary(seed=1, quick=True), console, QUICK)
    try:
        source = reviews_and_tweets(folder / "dataset", QUICK, seed=1, labels_shuffled=False)
        build.take_source(session, source, labels_shuffled=False)
        build.synthesise(session, folder / "cdk.out")
        emulator.wait()
        build.deploy(session, folder / "cdk.out")
        build.upload(session)
        packages = build.tune(session, {})["packages"]
        build.release(session, packages)
        yield Released(session, _load(session, packages[0]["model_package_arn"], folder / "champion"), source.first(QUICK.first_texts))
    finally:
        emulator.stop()


def _load(session: Session, package: str, folder: Path) -> LoadedModel:
    bucket, key = model_uri(session, package).removeprefix("s3://").split("/", 1)
    artifact = session.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(artifact)) as tar:
        tar.extractall(folder, filter="data")
    return model_fn(str(folder))


def path(app: Released) -> Comparison:
    """Compare the ways in, with the same texts, one at a time."""
    texts = app.texts[:CALLS]
    return Comparison(
        "path",
        f"{CALLS} predictions, one at a time",
        "prediction",
        (
            Way("model in this process", lambda: [app.model.predict([text]) for text in texts], CALLS),
            Way("InvokeEndpoint", lambda: [app.invoke([text]) for text in texts], CALLS),
            Way("POST /predict", lambda: [app.session.predict(text) for text in texts], CALLS),
        ),
    )


def batch(app: Released) -> Comparison:
    """Compare InvokeEndpoint with one text per call and with several."""
    texts = app.texts[:64]
    ways = [Way(f"{size} a call", partial(_in_calls, app, texts, size), len(texts)) for size in (1, 16, 64)]
    return Comparison("batch", f"{len(texts)} texts through InvokeEndpoint", "text", ways)


def _in_calls(app: Released, texts: Sequence[str], size: int) -> None:
    for start in range(0, len(texts), size):
        app.invoke(texts[start : start + size])


def cold(app: Released) -> Comparison:
    """Compare a function's first call after a new configuration, which ends its processes, with a later call."""
    function, functions, text = app.session.names.function("predict"), app.session.client("lambda"), app.texts[0]
    memory = functions.get_function_configuration(FunctionName=function)["MemorySize"]

    def cool() -> None:
        functions.update_function_configuration(FunctionName=function, MemorySize=memory)
        functions.get_waiter("function_updated_v2").wait(FunctionName=function, WaiterConfig={"Delay": 1})

    return Comparison(
        "cold",
        "POST /predict with its function warm and cold",
        "call",
        (
            Way("warm", lambda: app.session.predict(text), prepare=lambda: app.session.predict(text)),
            Way("cold", lambda: app.session.predict(text), prepare=cool),
        ),
    )
