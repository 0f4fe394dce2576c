"""The whole app deployed in an emulator of its own, with tiny models that a test can tell how to behave.

``deploy(folder, assembly=...)`` deploys every synthesised stack unchanged; ``register(TinyModel(...))`` makes an approved
model package as the tuning does; ``release(champion, challenger)`` writes the release record and updates the endpoint stack
with its previous template, as an operator or a rollout does. IAM is enforced; ``denied()`` lists what a role was refused.

Share one deployment a module (it takes about a minute on two cores)::

    @pytest.fixture(scope="module")
    def app(tmp_path_factory: pytest.TempPathFactory, synthesised: Callable[[str], Path]) -> Iterator[ReleasedApp]:
        with deploy(tmp_path_factory.mktemp("app"), assembly=synthesised("dev")) as deployed:
            champion = deployed.register(TinyModel("champion-1"))
            deployed.release(champion, deployed.register(TinyModel("challenger-1", fail_share=0.5)))
            yield deployed

Everything of a model is decided by the text alone, so a test knows the answers beforehand:

- the label is the first of the dataset's labels that the text has as a word, else ``neutral``;
- ``fail_share``, ``crash_share`` and ``wrong_share`` of a model fail, end it, or get the next label, by a hash of text and version;
- ``[break]`` in a text makes every model fail, ``[slow]`` takes two seconds, ``[unsure]`` has a confidence of 0.4, below every
  review threshold, ``[garbage]`` answers with something that is not the contract's form, and ``[crash]`` ends the container.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from deployed_app import DEV, TIME_SCALE, DeployedApp, name_labels

from embedded_aws.tools import deployer, launcher
from embedded_aws.tools.clients import ACCOUNT, ROOT
from lambdas.common.pairs import slot_key
from lambdas.tuning.register_candidates.registration import package_request
from stacks.images import inference_image
from stacks.settings import Settings

INFERENCE = """
import hashlib, json, os, re, time

def model_fn(model_dir):
    with open(os.path.join(model_dir, "tiny.json")) as stream:
        return json.load(stream)

def input_fn(body, content_type):
    document = json.loads(body)
    given = document["inputs"]
    return [given] if isinstance(given, str) else given

def draw(model, purpose, text):
    digest = hashlib.sha256(f"{model['version']} {purpose} {text}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32

def answer(text, model):
    if "[crash]" in text or draw(model, "crash", text) < model["crash_share"]:
        os._exit(1)
    if "[break]" in text or draw(model, "fail", text) < model["fail_share"]:
        raise ValueError("this model fails on this text")
    time.sleep(2 if "[slow]" in text else model["seconds"])
    if "[garbage]" in text:
        return {"verdict": "what?"}
    labels = model["labels"]
    words = re.findall(r"\\w+", text.lower())
    label = next((word for word in words if word in labels), "neutral")
    if draw(model, "wrong", text) < model["wrong_share"]:
        label = labels[(labels.index(label) + 1) % len(labels)]
    confidence = 0.4 if "[unsure]" in text else model["confidence"]
    rest = (1 - confidence) / (len(labels) - 1)
    return {
        "label": label, "confidence": confidence, "probabilities": {name: confidence if name == label else rest for name in labels},
        "model_version": model["version"], "review_threshold": model["review_threshold"], "tokens": len(words), "oov_tokens": 0,
        "truncated": False,
    }

def predict_fn(data, model):
    return [answer(text, model) for text in data]

def output_fn(prediction, accept):
    return json.dumps(prediction)
"""


@dataclass(frozen=True)
class TinyModel:
    """How a model behaves; shares are of all texts, ``seconds`` is what an answer takes."""

    version: str
    fail_share: float = 0.0
    crash_share: float = 0.0
    wrong_share: float = 0.0
    seconds: float = 0.0
    confidence: float = 0.9
    review_threshold: float = 0.6
    labels: tuple[str, ...] = ("negative", "neutral", "positive")

    def artifact(self) -> bytes:
        """A model.tar.gz with these handlers, which need nothing but the standard library."""
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz") as tar:
            for path, text in (("code/inference.py", INFERENCE), ("tiny.json", json.dumps(asdict(self)))):
                entry = tarfile.TarInfo(path)
                entry.size = len(text.encode())
                tar.addfile(entry, io.BytesIO(text.encode()))
        return stream.getvalue()

    def fails_on(self, text: str) -> bool:
        """Whether this model fails on a text without markers; for a test that needs to know beforehand."""
        digest = hashlib.sha256(f"{self.version} fail {text}".encode()).digest()
        return int.from_bytes(digest[:4], "big") / 2**32 < self.fail_share


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP; ``headers`` in lower case."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.text)
        return document


class ReleasedApp(DeployedApp):
    """Every stack of one stage, deployed, with models that a test makes and releases."""

    # -- models and releases -----------------------------------------------------------------------

    def register(self, model: TinyModel, *, approval: str = "Approved") -> str:
        """A model package of the app's own group, in the form that the tuning registers; returns its ARN."""
        models = self.names.bucket("models")
        artifact = f"training/{model.version}/output/model.tar.gz"
        self.client("s3").put_object(Bucket=models, Key=artifact, Body=model.artifact())
        report = f"evaluations/{model.version}/evaluation.json"
        self.client("s3").put_object(Bucket=models, Key=report, Body=json.dumps(evaluation(model)).encode())
        request = package_request(
            {
                "training_job": model.version, "objective": 0.7, "macro_f1": 0.7, "dataset_version": "0123456789abcdef",
                "model_uri": f"s3://{models}/{artifact}", "evaluation_uri": f"s3://{models}/{report}",
            },
            group=self.names.prefix,
            image=inference_image(self.settings.region, self.settings.hosting.instance_type),
            tuning_job="tiny",
            approval=approval,
        )  # fmt: skip
        arn: str = self.client("sagemaker").create_model_package(**request)["ModelPackageArn"]
        return arn

    def release(self, champion: str, challenger: str | None = None, *, seconds: float = 120) -> None:
        """Make a release and wait until the stack has settled. An update rolled back by an alarm ends well too: ask ``running()``.

        Raises:
            AssertionError: the stack's update failed, with the first reason.
        """
        self.apply(champion, challenger)
        self.settled(seconds)

    def apply(self, champion: str, challenger: str | None = None) -> None:
        """Write the record and start the update of the endpoint stack, without waiting."""
        name = self.names.parameter("release")
        self.client("ssm").put_parameter(Name=name, Value=f"{champion},{challenger or champion}", Overwrite=True)
        stacks, stack = self.client("cloudformation"), self.names.stack("endpoint")
        given = stacks.describe_stacks(StackName=stack)["Stacks"][0].get("Parameters", [])
        stacks.update_stack(
            StackName=stack,
            UsePreviousTemplate=True,
            Parameters=[{"ParameterKey": item["ParameterKey"], "UsePreviousValue": True} for item in given],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
        )

    def settled(self, seconds: float = 120) -> None:
        """Wait for the endpoint stack.

        Raises:
            AssertionError: its update failed, with the first reason.
        """
        stacks, stack, deadline = self.client("cloudformation"), self.names.stack("endpoint"), time.monotonic() + seconds
        while (status := stacks.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]).endswith("_IN_PROGRESS"):
            assert time.monotonic() < deadline, f"{stack} is still {status} after {seconds:.0f} s"
            time.sleep(0.25)
        if status != "UPDATE_COMPLETE":
            events = stacks.describe_stack_events(StackName=stack)["StackEvents"]
            failed = [
                f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason')}" for e in events if e["ResourceStatus"].endswith("FAILED")
            ]
            raise AssertionError(f"{stack} is {status}: {failed[-1:]}")

    def endpoint(self) -> dict[str, Any]:
        described: dict[str, Any] = self.client("sagemaker").describe_endpoint(EndpointName=self.names.endpoint)
        return described

    def running(self) -> dict[str, str]:
        """Variant name -> ARN of the model package that the endpoint really serves."""
        sagemaker = self.client("sagemaker")
        config = sagemaker.describe_endpoint_config(EndpointConfigName=self.endpoint()["EndpointConfigName"])
        return {
            variant["VariantName"]: sagemaker.describe_model(ModelName=variant["ModelName"])["PrimaryContainer"]["ModelPackageName"]
            for variant in config["ProductionVariants"]
        }

    def weights(self) -> dict[str, float]:
        return {variant["VariantName"]: variant["CurrentWeight"] for variant in self.endpoint()["ProductionVariants"]}

    def counts(self) -> dict[str, int]:
        return {variant["VariantName"]: variant["CurrentInstanceCount"] for variant in self.endpoint()["ProductionVariants"]}

    def bounds(self) -> dict[str, tuple[int, int]]:
        """Variant -> fewest and most instances of its autoscaling."""
        found = self.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
        return {target["ResourceId"].rsplit("/", 1)[1]: (target["MinCapacity"], target["MaxCapacity"]) for target in found}

    def change(self, **fields: dict[str, float]) -> None:
        """One field of variants, such as ``DesiredWeight={"champion": 1}``; returns when the endpoint is in service again.

        The autoscaler may be quicker and turn the endpoint to Updating once more: then the change is asked for again.
        """
        [(field, values)] = fields.items()
        wanted = [{"VariantName": variant, field: value} for variant, value in values.items()]
        deadline = time.monotonic() + 60
        while True:
            try:
                self.client("sagemaker").update_endpoint_weights_and_capacities(
                    EndpointName=self.names.endpoint, DesiredWeightsAndCapacities=wanted
                )
            except ClientError as error:
                if "Cannot update in-progress endpoint" not in str(error) or time.monotonic() > deadline:
                    raise
                self.in_service()
            else:
                break
        self.in_service()

    def suspend_scaling(self, suspended: bool) -> None:
        for variant in ("champion", "challenger"):
            self.client("application-autoscaling").register_scalable_target(
                ServiceNamespace="sagemaker",
                ResourceId=f"endpoint/{self.names.prefix}/variant/{variant}",
                ScalableDimension="sagemaker:variant:DesiredInstanceCount",
                SuspendedState=dict.fromkeys(
                    ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended"), suspended
                ),
            )

    def in_service(self) -> None:
        deadline = time.monotonic() + 60
        while (status := self.endpoint()["EndpointStatus"]) != "InService":
            assert time.monotonic() < deadline, f"the endpoint is still {status}"
            time.sleep(0.1)

    def write_pairs(self, rollout: str, *, agreed: int = 400, said: Sequence[str] = ("positive", "negative")) -> None:
        """Pairs of a rollout's texts. ``said``: people's labels where the champion says positive and the challenger negative."""
        dynamodb, at = self.client("dynamodb"), datetime.now(UTC)
        created = at.isoformat(timespec="milliseconds")
        key = {"experiment": {"S": rollout}}
        dynamodb.put_item(TableName=self.names.pairs_table, Item={**key, "at": {"S": slot_key(created)}, "pairs": {"N": str(agreed)}})
        for number, label in enumerate(said):
            prediction_id = f"{number:032x}"
            labels = {"champion_label": {"S": "positive"}, "challenger_label": {"S": "negative"}, "variant": {"S": "champion"}}
            confidences = {"champion_confidence": {"N": "0.8"}, "challenger_confidence": {"N": "0.8"}}
            pair = {**key, "at": {"S": f"differ#{created}#{prediction_id}"}, **labels, **confidences}
            dynamodb.put_item(TableName=self.names.pairs_table, Item=pair)
            record = {"prediction_id": {"S": prediction_id}, "review_state": {"S": "reviewed"}, "human_label": {"S": label}}
            dynamodb.put_item(TableName=self.names.predictions_table, Item=record)

    # -- predictions -------------------------------------------------------------------------------

    @cached_property
    def predict_url(self) -> str:
        """The API on this machine: the emulator serves every API below one path."""
        address = urlsplit(self.outputs[self.names.stack("endpoint")]["PredictUrl"])
        api = address.netloc.split(".")[0]
        return f"{self.emulator.url}/_aws/execute-api/{api}{address.path}"

    def post(self, body: bytes, *, credentials: Credentials | None = ROOT, content_type: str = "application/json") -> Answer:
        """``POST /predict`` with these bytes, signed by ``credentials``, or not at all."""
        headers = {"Content-Type": content_type}
        if credentials is not None:
            request = AWSRequest("POST", self.predict_url, data=body, headers=headers)
            SigV4Auth(credentials, "execute-api", self.settings.region).add_auth(request)
            headers = dict(request.headers)
        call = urllib.request.Request(self.predict_url, data=body, headers=headers, method="POST")  # noqa: S310  (the emulator on 127.0.0.1)
        try:
            with urllib.request.urlopen(call, timeout=60) as response:  # noqa: S310  (the emulator on 127.0.0.1)
                return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, response.read().decode())
        except urllib.error.HTTPError as error:
            return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read().decode())

    def predict(self, text: str, **fields: Any) -> Answer:
        """``POST /predict`` of one text, signed by root."""
        return self.post(json.dumps({"text": text, **fields}).encode())

    # -- access ------------------------------------------------------------------------------------

    def role(self, name: str, *statements: dict[str, Any]) -> Credentials:
        """Credentials of a new role with exactly these statements."""
        iam = self.client("iam")
        trust = [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}]
        document = json.dumps({"Version": "2012-10-17", "Statement": trust})
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        if statements:
            policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            iam.put_role_policy(RoleName=name, PolicyName="grants", PolicyDocument=policy)
        granted = self.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        return Credentials(granted["AccessKeyId"], granted["SecretAccessKey"], granted["SessionToken"])


def evaluation(model: TinyModel) -> dict[str, Any]:
    """An evaluation report of the contract's form; its baseline lets any traffic pass as undrifted."""
    interval = {"value": 0.7, "low": 0.65, "high": 0.75}
    score = {"accuracy": interval, "macro_f1": interval}
    lower = {name: {key: number - 0.2 for key, number in interval.items()} for name in score}
    measure = {"precision": 0.7, "recall": {**interval, "effective_texts": 100}, "f1": 0.7, "support": 100}
    share = 1 / len(model.labels)
    return {
        "schema_version": 3, "model_version": model.version, "champion_version": None, "dataset_version": "0123456789abcdef",
        "rows": 300, "groups": 120, "overall": {**score, "ece": 0.03}, "by_class": dict.fromkeys(model.labels, measure),
        "by_slice": {"amazon": {"rows": 300, "groups": 120, **score}}, "confusion": {"labels": list(model.labels), "matrix": []},
        "references": {"majority": lower, "tfidf": lower, "human_1": score, "human_3": score, "champion": None},
        "difference_to_champion": None, "difference_by_slice": None, "truncated": {"texts": 0, "pieces": 0}, "key_examples": None,
        "label_names": {},
        "review": {"threshold": model.review_threshold, "share": 0.2, "auto_accuracy": 0.8},
        "drift_baseline": {
            "source": "test", "window": 250, "alpha": 0.01, "windows": 3_000, "texts": 300,
            "oov_rate": {"mean": 0.0, "threshold": 1.0, "direction": "above"},
            "mean_confidence": {"mean": 0.9, "threshold": 0.0, "direction": "below"},
            "class_divergence": {"mean": 0.0, "threshold": 1.0, "direction": "above"},
            "class_share": dict.fromkeys(model.labels, share),
        },
    }  # fmt: skip


@contextmanager
def deploy(folder: Path, *, assembly: Path, settings: Settings = DEV, time_scale: float = TIME_SCALE) -> Iterator[ReleasedApp]:
    """Every stack of the app in a new emulator, before any release; stopped in the end.

    Args:
        folder: an empty folder, for the emulator's files.
        assembly: what is deployed: of the fixture ``synthesised``, or of ``build_app`` with settings of the test's own.
        settings: those that the assembly was made with.
        time_scale: real seconds of a declared one.
    """
    emulator = launcher.start(folder / "run", port=launcher.free_port(), time_scale=time_scale, region=settings.region)
    try:
        app = ReleasedApp(emulator, settings, assembly, deployer.deploy(assembly, emulator.url))
        name_labels(app.client, settings)
        yield app
    finally:
        emulator.stop()


@contextmanager
def in_background(act: Callable[[], None], *, workers: int = 1, pause: float = 0.0) -> Iterator[None]:
    """Act again and again until the block ends, with so many seconds in between. What it raises, the end of the block raises."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(pause):
            act()

    with ThreadPoolExecutor(workers) as pool:
        working = [pool.submit(work) for _ in range(workers)]
        try:
            yield
        finally:
            stop.set()
        for one in working:
            one.result()
