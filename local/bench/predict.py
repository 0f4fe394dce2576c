"""What ``POST /predict`` adds to InvokeEndpoint, part by part, with and without a running experiment; and the parts of a cold start.

The foundation's and the endpoint's stacks are deployed, with an endpoint whose model answers at once: what is added does not depend on
the model. A process with the deployed function's archive, layer and variables answers the same events as the function, with every AWS
call timed. So the parts inside the function are its own; the rest is what API Gateway and the start of a call add.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from rich.table import Table

from contracts.shared_words import NO_EXPERIMENT, VARIANTS
from embedded_aws.tools import deployer, launcher
from embedded_aws.tools.clients import ACCOUNT, ROOT, Clients
from lambdas.common.experiment import Experiment
from local import assemblies
from local.bench.queue import spread
from local.demo.session import DemoFailed
from stacks.constructs.function_archive import function_archive
from stacks.images import inference_image
from stacks.names import Names
from stacks.settings import Settings, load_settings

STEPS = 3
"""Until the first call: synthesis, the embedded AWS with its stacks, the endpoint."""
_PROBE = Path(__file__).with_name("predict_probe.py")
_LAYER = launcher.ROOT / ".build" / "layer" / "python"
_WARM_UP = 3
_OPERATIONS = {
    "GetParameter": "parameter read",
    "InvokeEndpoint": "endpoint call",
    "PutItem": "table write",
    "SendMessage": "review request",
}
_MODEL = """
import json

def model_fn(folder):
    return "bench-1"

def predict_fn(data, version):
    return [{"label": "positive", "confidence": 0.9, "probabilities": {"negative": 0.1, "positive": 0.9}, "model_version": version,
             "review_threshold": 0.5, "tokens": 3, "oov_tokens": 0, "truncated": False}]

def input_fn(body, kind):
    return json.loads(body)

def output_fn(answers, kind):
    return json.dumps(answers)
"""


class NoAnswer(DemoFailed):
    """A call of the bench got no prediction; the text has the answer's status."""


@dataclass(frozen=True)
class Way:
    """One kind of call: ``parameter`` is the experiment's, and the subject is in the body where it is given."""

    name: str
    parameter: str
    subject: str | None = None


WAYS = (
    Way("no experiment", "/bench/none"),
    Way("an experiment runs", "/bench/running"),
    Way("an experiment runs, with a subject", "/bench/running", "somebody"),
)


@dataclass(frozen=True)
class App:
    """The two stacks, deployed, and a process of the function for each way."""

    url: str
    settings: Settings
    client: Clients
    predict_url: str
    variables: Mapping[str, str]

    @property
    def names(self) -> Names:
        return Names(self.settings, ACCOUNT)

    def environment(self, parameter: str) -> dict[str, str]:
        """Of a process of the function: archive and layer as Lambda lays them out, root's credentials."""
        return {
            **self.variables,
            "EXPERIMENT_PARAMETER": parameter,
            "LAMBDA_TASK_ROOT": str(function_archive("prediction/predict")),
            "PYTHONPATH": os.pathsep.join((str(function_archive("prediction/predict")), str(_LAYER))),
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ROOT.access_key,
            "AWS_SECRET_ACCESS_KEY": ROOT.secret_key,
            "AWS_DEFAULT_REGION": self.settings.region,
            "PATH": os.environ["PATH"],
        }


@contextmanager
def deployed(folder: Path, settings: Settings, on_step: Callable[[str, int], None]) -> Iterator[App]:
    """Raises: what synthesis, the embedded AWS and the deployment raise."""
    assemblies.assembly(settings, folder / "cdk.out")
    on_step("the stacks are deployed", 1)
    emulator = launcher.start(folder / "run", port=launcher.free_port(), time_scale=0.02, region=settings.region)
    try:
        names, client = Names(settings, ACCOUNT), Clients(emulator.url, settings.region)
        stacks = [names.stack("foundation"), names.stack("endpoint")]
        outputs = deployer.deploy(folder / "cdk.out", emulator.url, stacks)
        on_step("the endpoint starts", 1)
        _endpoint(client, names, settings)
        running = Experiment("bench", "bench-1", "bench-1", 0.5, datetime.now(UTC).isoformat())
        for parameter, value in (("/bench/none", NO_EXPERIMENT), ("/bench/running", running.format())):
            client("ssm").put_parameter(Name=parameter, Value=value, Type="String")
        address = urlsplit(outputs[names.stack("endpoint")]["PredictUrl"])
        predict_url = f"{emulator.url}/_aws/execute-api/{address.netloc.split('.')[0]}{address.path}"
        described = client("lambda").get_function_configuration(FunctionName=names.function("predict"))
        on_step("calls are answered", 1)
        yield App(emulator.url, settings, client, predict_url, described["Environment"]["Variables"])
    finally:
        emulator.stop()


def _endpoint(client: Clients, names: Names, settings: Settings) -> None:
    """The app's endpoint by its name and role, with both variants. CloudFormation would need a model package first."""
    artifact = io.BytesIO()
    with tarfile.open(fileobj=artifact, mode="w:gz") as tar:
        entry, text = tarfile.TarInfo("code/inference.py"), _MODEL.encode()
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    bucket, key, sagemaker = names.bucket("models"), "training/bench/output/model.tar.gz", client("sagemaker")
    client("s3").put_object(Bucket=bucket, Key=key, Body=artifact.getvalue())
    container = {"Image": inference_image(settings.region, settings.hosting.instance_type), "ModelDataUrl": f"s3://{bucket}/{key}"}
    role = client("iam").get_role(RoleName=names.endpoint_role)["Role"]["Arn"]
    sagemaker.create_model(ModelName="bench", PrimaryContainer=container, ExecutionRoleArn=role)
    variants = [
        {
            "VariantName": variant, "ModelName": "bench", "InstanceType": settings.hosting.instance_type, "InitialInstanceCount": 1,
            "InitialVariantWeight": 0.5,
        }
        for variant in VARIANTS
    ]  # fmt: skip
    sagemaker.create_endpoint_config(EndpointConfigName="bench", ProductionVariants=variants)
    sagemaker.create_endpoint(EndpointName=names.endpoint, EndpointConfigName="bench")
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=names.endpoint, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


class _Function:
    """A process of the function that answers events; its lines are those of ``predict_probe.answer``."""

    def __init__(self, app: App, way: Way) -> None:
        command = [str(launcher.EMULATOR_PYTHON), "-P", str(_PROBE), "calls"]
        self._process = subprocess.Popen(
            command, env=app.environment(way.parameter), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def call(self, event: Mapping[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise NoAnswer("the function's own process has no pipes")
        stdin.write(f"{json.dumps(event)}\n")
        stdin.flush()
        line = stdout.readline()
        answered: dict[str, Any] = json.loads(line) if line else {"status": "no answer"}
        if answered["status"] != 200:
            raise NoAnswer(f"the function's own process answered {answered['status']}")
        return answered

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def _event(text: str, way: Way) -> dict[str, Any]:
    body = {"text": text, **({} if way.subject is None else {"subject": way.subject})}
    return {"body": json.dumps(body), "headers": {"Content-Type": "application/json"}}


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _ask(runtime: Any, request: Mapping[str, Any]) -> None:
    runtime.invoke_endpoint(**request)["Body"].read()


def _post(app: App, text: str) -> None:
    body = json.dumps({"text": text}).encode()
    request = AWSRequest("POST", app.predict_url, data=body, headers={"Content-Type": "application/json"})
    SigV4Auth(ROOT, "execute-api", app.settings.region).add_auth(request)
    call = urllib.request.Request(app.predict_url, data=body, headers=dict(request.headers), method="POST")  # noqa: S310  (http on 127.0.0.1)
    with urllib.request.urlopen(call, timeout=60) as response:  # noqa: S310  (the embedded AWS on 127.0.0.1)
        response.read()


def _invoke(app: App, event: Mapping[str, Any]) -> None:
    answered = app.client("lambda").invoke(FunctionName=app.names.function("predict"), Payload=json.dumps(event).encode())
    status = json.loads(answered["Payload"].read()).get("statusCode")
    if status != 200:
        raise NoAnswer(f"the function answered {status}")


def measure(calls: int, starts: int, folder: Path, on_step: Callable[[str, int], None]) -> dict[str, Any]:
    """Call every way once in each round, so that a busy machine slows them alike.

    Args:
        calls: rounds, at least 2.
        starts: starts of a process of the function, at least 2.
        folder: an empty one, for the assembly and the embedded AWS.
        on_step: is told what is done, and how much more of it.

    Raises:
        NoAnswer: a call got no prediction.
    """
    settings = load_settings(launcher.ROOT / "settings" / "dev.yaml")
    with deployed(folder, settings, on_step) as app, ExitStack() as stack:
        functions = {way.name: _Function(app, way) for way in WAYS}
        for function in functions.values():
            stack.callback(function.end)
        runtime, endpoint = app.client("sagemaker-runtime"), app.names.endpoint
        plain = {"EndpointName": endpoint, "ContentType": "application/json"}
        outside: dict[str, list[float]] = {"InvokeEndpoint": [], "POST /predict": [], "Invoke of the function": []}
        inside: dict[str, list[dict[str, Any]]] = {way.name: [] for way in WAYS}
        for number in range(calls + _WARM_UP):
            text = f"Not bad at all, number {number}"
            body = json.dumps({"inputs": text})
            round_of = {
                "InvokeEndpoint": _timed(partial(_ask, runtime, {**plain, "Body": body})),
                "POST /predict": _timed(partial(_post, app, text)),
                "Invoke of the function": _timed(partial(_invoke, app, _event(text, WAYS[0]))),
            }
            answers = {way.name: functions[way.name].call(_event(text, way)) for way in WAYS}
            if number >= _WARM_UP:
                for name, seconds in round_of.items():
                    outside[name].append(seconds)
                for name, answered in answers.items():
                    inside[name].append(answered)
            on_step("calls are answered", 1)
        cold = _cold(app, starts, on_step)
    return figures(outside, inside, cold)


def _cold(app: App, starts: int, on_step: Callable[[str, int], None]) -> dict[str, list[dict[str, dict[str, float]]]]:
    found: dict[str, list[dict[str, dict[str, float]]]] = {"predict": [], "with boto3 and the tracer": []}
    event = json.dumps(_event("first", WAYS[0]))
    for _ in range(starts):
        for name, arguments in (("predict", ("start", event)), ("with boto3 and the tracer", ("boto3",))):
            command = [str(launcher.EMULATOR_PYTHON), "-P", str(_PROBE), *arguments]
            done = subprocess.run(command, env=app.environment("/bench/none"), capture_output=True, text=True, check=True)
            found[name].append(json.loads(done.stdout))
        on_step("processes of the function start", 1)
    return found


def figures(
    outside: Mapping[str, Sequence[float]],
    inside: Mapping[str, Sequence[Mapping[str, Any]]],
    cold: Mapping[str, Sequence[Mapping[str, Mapping[str, float]]]],
) -> dict[str, Any]:
    """The content of ``predict.json``, times in milliseconds.

    Args:
        outside: seconds of the calls from outside, by name, round by round.
        inside: what the function's own processes answered, by way, round by round.
        cold: seconds of a start's parts, by kind of start, start by start.
    """
    first, *others = inside
    handler = [one["seconds"] for one in inside[first]]
    parts = {
        "API Gateway": _differences(outside["POST /predict"], outside["Invoke of the function"]),
        "start of the call": _differences(outside["Invoke of the function"], handler),
        **_parts(inside[first]),
    }
    ratios = [post / plain for post, plain in zip(outside["POST /predict"], outside["InvokeEndpoint"], strict=True)]
    return {
        "rounds": len(handler),
        "ms": {name: spread([1_000 * one for one in seconds]) for name, seconds in outside.items()},
        "ratio_to_invoke_endpoint": round(statistics.median(ratios), 2),
        "added_ms": spread([1_000 * one for one in _differences(outside["POST /predict"], outside["InvokeEndpoint"])]),
        "parts_ms": {name: spread([1_000 * one for one in seconds]) for name, seconds in parts.items()},
        "experiment": {
            name: {
                "ms": spread([1_000 * one["seconds"] for one in rows]),
                "parts_ms": {part: spread([1_000 * one for one in seconds]) for part, seconds in _parts(rows).items()},
                "calls": _calls(rows),
            }
            for name, rows in inside.items()
        },
        "ratio_with_experiment": {
            name: round(statistics.median(one["seconds"] / base for one, base in zip(inside[name], handler, strict=True)), 2)
            for name in others
        },
        "cold_start_ms": {
            name: {part: _cold_part([row[part] for row in rows]) for part in rows[0]} | {"total": _cold_part([_total(row) for row in rows])}
            for name, rows in cold.items()
        },
    }


def _parts(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Seconds of each AWS call that the caller waited for, and of the rest, round by round."""
    found: dict[str, list[float]] = {name: [] for name in _OPERATIONS.values()}
    for row in rows:
        waited = dict.fromkeys(found, 0.0)
        for call in row["calls"]:
            if call["waited"]:
                waited[_OPERATIONS.get(call["operation"], call["operation"])] += call["seconds"]
        for name, seconds in waited.items():
            found.setdefault(name, []).append(seconds)
        found.setdefault("own code", []).append(row["seconds"] - sum(waited.values()))
    return {name: seconds for name, seconds in found.items() if any(seconds)}


def _calls(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """AWS calls for one prediction, on average, by operation: those that the caller waited for, and those beside it."""
    found: dict[str, float] = {}
    for row in rows:
        for call in row["calls"]:
            name = call["operation"] if call["waited"] else f"{call['operation']} (nobody waits)"
            found[name] = found.get(name, 0) + 1
    return {name: round(count / len(rows), 3) for name, count in sorted(found.items())}


def _differences(longer: Sequence[float], shorter: Sequence[float]) -> list[float]:
    return [one - other for one, other in zip(longer, shorter, strict=True)]


def _total(row: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {key: sum(part[key] for part in row.values()) for key in ("seconds", "processor")}


def _cold_part(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Medians: of the clock, and of the processor, which other programs on the machine disturb less."""
    return {key: round(1_000 * statistics.median(row[key] for row in rows), 1) for key in ("seconds", "processor")}


def tables(content: Mapping[str, Any]) -> list[Table]:
    added = content["added_ms"]
    title = f"POST /predict adds {added['p50']:.1f} ms to InvokeEndpoint ({content['ratio_to_invoke_endpoint']:.2f} times its time)"
    path = Table("", "p50, ms", "p99, ms", title=title, title_justify="left")
    for group in ("ms", "parts_ms"):
        for name, values in content[group].items():
            path.add_row(name if group == "ms" else f"  {name}", f"{values['p50']:.2f}", f"{values['p99']:.2f}", end_section=False)
    ways = Table(
        "inside the function", "p50, ms", "p99, ms", "ratio", "AWS calls for one prediction", title="With and without an experiment"
    )
    for name, way in content["experiment"].items():
        calls = ", ".join(f"{count:g} {operation}" for operation, count in way["calls"].items())
        ratio = content["ratio_with_experiment"].get(name)
        ways.add_row(name, f"{way['ms']['p50']:.2f}", f"{way['ms']['p99']:.2f}", "base" if ratio is None else f"{ratio:.2f}", calls)
    cold = Table("", "clock, ms", "processor, ms", title="A cold start, medians", title_justify="left")
    for name, parts in content["cold_start_ms"].items():
        for part, values in parts.items():
            cold.add_row(name if part == "total" else f"  {part}", f"{values['seconds']:,.0f}", f"{values['processor']:,.0f}")
    return [path, ways, cold]
