"""The steps of a dry run: what is deployed, which commands of the workflows run, under which roles, and how each must end.

The commands are read from the workflows and run under the roles of the stack of pipelines, with IAM enforced.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import ClientError

from cli.exit_codes import ExitCode
from embedded_aws.tools import deployer, launcher, processes
from embedded_aws.tools.clients import ACCOUNT, Clients
from local.pipeline import packages
from local.pipeline.callers import Callers, people_answer, predict_url
from local.pipeline.workflow import Command, commands
from stacks.names import Names
from stacks.settings import Settings
from stacks.settings.pipeline import AUDIENCE, GITHUB
from stacks.synthesis import synthesise

ROOT = launcher.ROOT
WORKFLOWS = ROOT / ".github" / "workflows"
STAGE = "dev"
REPOSITORY = "acme/reviewloop"
DONE, ROLLED_BACK = ExitCode.DONE.value, ExitCode.ROLLED_BACK.value
WORSE = "the challenger is worse"
"""So begins the judge's reason when people's answers have refuted that the challenger is no worse."""
_RECORDS = ("release", "experiment", "rollout-control")
_KEPT_LINES = 30


class StepFailed(RuntimeError):
    """A step did not end as it must; the text says how it ended."""


@dataclass
class DryRun:
    """One run.

    Args:
        folder: for everything that it writes.
        cdk: deploy with the CDK CLI instead of the embedded AWS's own deployer.
    """

    folder: Path
    emulator: launcher.Emulator
    settings: Settings
    cdk: bool
    assembly: Path | None = None
    """Of the stage, where it is synthesised already."""
    packages: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> Names:
        return Names(self.settings, ACCOUNT)

    @cached_property
    def client(self) -> Clients:
        return Clients(self.emulator.url, self.settings.region)

    @property
    def given(self) -> dict[str, str]:
        """Variables of the environments on GitHub."""
        return {"AWS_ACCOUNT_ID": ACCOUNT, "AWS_REGION": self.settings.region}

    # -- steps -------------------------------------------------------------------------------------

    def steps(self) -> list[tuple[str, Callable[[], str]]]:
        """What is done, in order: title, and the work, which returns a few words about its end."""
        deploy, rollout = WORKFLOWS / "deploy.yml", WORKFLOWS / "rollout.yml"
        return [
            ("bootstrap the account", self.bootstrap),
            ("deploy the roles of pipelines", self.access),
            ("a job of another environment gets no role", self.another_environment),
            ("deploy.yml: dev", lambda: self.job(deploy, "dev", {})),
            ("deploy.yml: smoke", lambda: self.job(deploy, "smoke", {})),
            ("register three model packages that were not trained", self.register),
            ("rollout.yml: the first release", lambda: self.roll_out(rollout, "good", DONE)),
            ("rollout.yml: a challenger that answers wrongly", lambda: self.judged(rollout, "flipped")),
            ("rollout.yml: a challenger that cannot start", lambda: self.refused(rollout, "broken")),
        ]

    def bootstrap(self) -> str:
        if not self.cdk:
            return "left to the deployer"
        self._run(Command(f"npx cdk bootstrap aws://{ACCOUNT}/{self.settings.region}", {}, "", None))
        return "npx cdk bootstrap"

    def access(self) -> str:
        """The account's identity provider is taken as given: it would check the signature of GitHub's tokens, which are not here."""
        file = self.folder / "pipeline.yaml"
        own = {"repository": REPOSITORY, "region": self.settings.region, "accounts": {STAGE: ACCOUNT}, "oidc_provider": "import"}
        file.write_text(yaml.safe_dump(own), encoding="utf-8")
        if not self.cdk:
            output = self.folder / "access"
            _say("synthesise the roles")
            synthesise(output, pipeline=file)
            deployer.deploy(output, self.emulator.url, on_progress=_StackLines())
            return "by the deployer"
        self._run(Command("npx cdk deploy --all --require-approval never", {"REVIEWLOOP_PIPELINE": str(file)}, "", None))
        return "npx cdk deploy"

    def another_environment(self) -> str:
        """A token of the environment that deploys does not open the role that rolls out.

        Raises:
            StepFailed: it does.
        """
        role = f"{self.names.prefix}-pipeline-rollout-{self.names.settings.region}"
        try:
            self._assume(role, STAGE)
        except ClientError as error:
            if error.response["Error"]["Code"] == "AccessDenied":
                return f"AccessDenied for {role} from the environment {STAGE}"
            raise
        raise StepFailed(f"a job of the environment {STAGE} has taken on {role}")

    def job(self, workflow: Path, name: str, inputs: Mapping[str, str], expected: int = DONE) -> str:
        """Every command of a job. The last one ends with ``expected``, all others with 0."""
        found = list(commands(workflow, name, {**self.given, **inputs}))
        for command in found:
            if not self.cdk and command.text.startswith("npx cdk deploy"):
                self._deploy(command)
            else:
                self._run(command, expected if command is found[-1] else DONE)
        return f"exit code {expected} under {found[-1].role}"

    def register(self) -> str:
        versions = {name: f"dry-run-{name}" for name in ("good", "flipped", "broken")}
        codes = {
            "good": packages.answers(versions["good"]),
            "flipped": packages.answers(versions["flipped"], moved=1),
            "broken": packages.BREAKS,
        }
        self.packages = {name: packages.register(self.client, self.names, versions[name], code) for name, code in codes.items()}
        return ", ".join(f"{name} {arn.rpartition(':')[2]}" for name, arn in self.packages.items())

    def roll_out(self, workflow: Path, name: str, expected: int) -> str:
        return self.job(workflow, "rollout", {"stage": STAGE, "package": self.packages[name]}, expected)

    def judged(self, workflow: Path, name: str) -> str:
        """A rollout that must not pass, because of what people say of the answers to callers' texts.

        Raises:
            StepFailed: it ended otherwise, or for another reason.
        """
        people_answer(self.client, self.emulator.url, self.names)
        callers = Callers(predict_url(self.client, self.emulator.url, self.names), self.settings.region)
        with callers.calling():
            ended = self.roll_out(workflow, name, ROLLED_BACK)
        reason = self._reason()
        if not reason.startswith(WORSE):
            raise StepFailed(f"the rollout ended with {ROLLED_BACK}, but not by people's answers: {reason}")
        met = f"{callers.answered.total()} calls were answered, {callers.answered['challenger']} of them by the challenger"
        return f"{ended}; {reason}; {met}, {callers.failed} were not; {self.unharmed()}"

    def _reason(self) -> str:
        """Why the newest rollout ended as it did."""
        steps = self.client("stepfunctions")
        machine = self.names.arn("states", f"stateMachine:{self.names.state_machine('rollout')}")
        found = steps.list_executions(stateMachineArn=machine)["executions"]
        newest = max(found, key=lambda one: one["startDate"])
        return str(json.loads(steps.describe_execution(executionArn=newest["executionArn"])["output"])["reason"])

    def refused(self, workflow: Path, name: str) -> str:
        """A rollout that must not pass: the job fails by the right code, and the endpoint is as it was."""
        return f"{self.roll_out(workflow, name, ROLLED_BACK)}; {self.unharmed()}"

    def unharmed(self) -> str:
        """Words on the endpoint, which is as the first release left it.

        Raises:
            StepFailed: it is not.
        """
        sagemaker, good = self.client("sagemaker"), self.packages["good"]
        endpoint = sagemaker.describe_endpoint(EndpointName=self.names.endpoint)
        config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
        models = {one["VariantName"]: sagemaker.describe_model(ModelName=one["ModelName"]) for one in config["ProductionVariants"]}
        found = {
            "status": endpoint["EndpointStatus"],
            "packages": {variant: model["PrimaryContainer"]["ModelPackageName"] for variant, model in models.items()},
            "weights": {one["VariantName"]: one["CurrentWeight"] for one in endpoint["ProductionVariants"]},
            "instances": {one["VariantName"]: one["CurrentInstanceCount"] for one in endpoint["ProductionVariants"]},
            "records": [self.client("ssm").get_parameter(Name=self.names.parameter(name))["Parameter"]["Value"] for name in _RECORDS],
        }
        expected = {
            "status": "InService",
            "packages": dict.fromkeys(("champion", "challenger"), good),
            "weights": {"champion": 1.0, "challenger": 0.0},
            "instances": dict.fromkeys(("champion", "challenger"), self.settings.hosting.initial_instance_count),
            "records": [f"{good},{good}", "none", "none"],
        }
        if found != expected:
            raise StepFailed(f"the endpoint is not as it was: {found}; expected is {expected}")
        return "the endpoint serves the first package alone"

    # -- commands ----------------------------------------------------------------------------------

    def _deploy(self, command: Command) -> None:
        print(f"    instead of $ {command.text}", flush=True)
        if self.assembly is None:
            self.assembly = self.folder / "cdk.out"
            _say("synthesise the stage")
            synthesise(self.assembly, stage=command.variables["REVIEWLOOP_STAGE"])
        deployer.deploy(self.assembly, self.emulator.url, on_progress=_StackLines())

    def _run(self, command: Command, expected: int = DONE) -> None:
        """One command as GitHub's shell runs it, with the credentials of root where it has taken on no role. Its lines are shown.

        Raises:
            StepFailed: it ended with another exit code than ``expected``.
        """
        text = command.text
        print(f"    $ {text}", flush=True)
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "REVIEWLOOP_"))}
        environment |= {
            "AWS_ENDPOINT_URL": self.emulator.url,
            "AWS_REGION": self.settings.region,
            "AWS_DEFAULT_REGION": self.settings.region,
            "CDK_OUTPUT": str(self.folder / "cli.out"),
            "TMPDIR": str(temporary),
            "CDK_DISABLE_VERSION_CHECK": "1",
            "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
            "CI": "true",
            **(self._assume(command.role, command.environment) if command.role else _ROOT),
            **command.variables,
        }
        process = subprocess.Popen(
            ["bash", "-eo", "pipefail", "-c", text], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        last: deque[str] = deque(maxlen=_KEPT_LINES)
        try:
            for line in process.stdout or ():
                _say(line.rstrip())
                last.append(f"      {line.rstrip()}")
            code = process.wait()
        except BaseException:
            for pid in (process.pid, *processes.descendants(process.pid)):  # the CDK CLI is a process of a process
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            raise
        if code != expected:
            raise StepFailed("\n".join([f"`{text}` ended with {code}, not {expected}:", *last]))

    def _assume(self, role: str, environment: str) -> dict[str, str]:
        """Take a role on with a token as a job of this environment gets it; the role's trust is compared with it."""
        claims = {"iss": f"https://{GITHUB}", "aud": AUDIENCE, "sub": f"repo:{REPOSITORY}:environment:{environment}"}
        token = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "none"}, claims, {}))
        arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
        answer: Any = self.client("sts").assume_role_with_web_identity(RoleArn=arn, RoleSessionName="dry-run", WebIdentityToken=token)
        found = answer["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": found["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
            "AWS_SESSION_TOKEN": found["SessionToken"],
        }


_ROOT = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


class _StackLines:
    """One line for each stack that the deployer begins or ends."""

    def __init__(self) -> None:
        self._stack = ""

    def __call__(self, progress: deployer.Progress) -> None:
        if progress.stack != self._stack:
            self._stack = progress.stack
            _say(f"{progress.stack}: {progress.total} resources")
        if progress.done == progress.total:
            _say(f"{progress.stack}: {progress.message}")


def _say(line: str) -> None:
    """A line of what a step does."""
    print(f"      {line}", flush=True)
