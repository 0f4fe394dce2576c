"""Deploy a synthesised cloud assembly (``cdk.out``) to the embedded AWS: what ``cdk deploy`` does, without Node.

Assets are published under the keys that the templates name, and each template goes up byte for byte as it was
synthesised, stack after stack in the order of the assembly's dependencies.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from botocore.exceptions import ClientError

from embedded_aws.tools.clients import Clients

ACCOUNT = "000000000000"
BOOTSTRAP_VERSION_PARAMETER = "/cdk-bootstrap/hnb659fds/version"
BOOTSTRAP_VERSION = "31"
EXECUTION_POLICY = "arn:aws:iam::aws:policy/AdministratorAccess"
"""The policy that ``cdk bootstrap`` by default gives the role that deploys."""
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 0.25
"""Seconds between two looks at a stack. A look takes 9 ms of a core, half of them in the embedded AWS, which makes the stack meanwhile."""
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


class DeployError(RuntimeError):
    """A stack could not be deployed or deleted; says which, because of what resource, and why."""

    def __init__(self, stack: str, resource: str, reason: str) -> None:
        super().__init__(f"stack {stack}: {resource}: {reason}" if resource else f"stack {stack}: {reason}")
        self.stack, self.resource, self.reason = stack, resource, reason


class InvalidAssembly(ValueError):
    """The folder is no cloud assembly, or holds something that cannot be deployed here."""


@dataclass(frozen=True)
class Progress:
    """How far the deployment is; ``done`` and ``total`` count the current stack's resources."""

    stack: str
    message: str
    done: int
    total: int


@dataclass(frozen=True)
class StackArtifact:
    """One stack of an assembly."""

    name: str
    region: str
    template: Path
    template_url: str
    execution_role: str
    tags: dict[str, str]
    parameters: dict[str, str]
    dependencies: tuple[str, ...] = field(default=())
    assets: tuple[Path, ...] = field(default=())

    @property
    def resources(self) -> int:
        return len(json.loads(self.template.read_bytes())["Resources"])


OnProgress = Callable[[Progress], None]


def deploy(
    cdk_out: Path, url: str, stacks: Sequence[str] | None = None, on_progress: OnProgress | None = None
) -> dict[str, dict[str, str]]:
    """Create or update the stacks of an assembly, and wait for each.

    Args:
        cdk_out: folder that ``make synth`` (or ``app.synth()``) wrote.
        url: the embedded AWS, e.g. ``http://127.0.0.1:4566``.
        stacks: names to deploy, in the assembly's order whatever the order here; all when not given.
        on_progress: called when something happened; never more often than the stack is polled.

    Returns:
        Outputs of each stack by stack name; also of those that had nothing to change.

    Raises:
        InvalidAssembly: no assembly, an unknown stack name, or a kind of asset that needs Docker.
        DeployError: a stack failed; it has been rolled back.
    """
    artifacts = _chosen(read_assembly(cdk_out), stacks)
    outputs = {}
    for artifact in artifacts:
        account = _Account(url, artifact.region)
        account.bootstrap(artifact)
        account.publish(artifact)
        outputs[artifact.name] = account.deploy(artifact, on_progress or _ignore)
    return outputs


def destroy(cdk_out: Path, url: str, stacks: Sequence[str] | None = None, on_progress: OnProgress | None = None) -> list[str]:
    """Delete the stacks of an assembly, dependents first; what a template retains stays.

    Returns:
        The names of the stacks that existed.

    Raises:
        InvalidAssembly: no assembly, or an unknown stack name.
        DeployError: a resource could not be deleted.
    """
    artifacts = _chosen(read_assembly(cdk_out), stacks)
    return [a.name for a in reversed(artifacts) if _Account(url, a.region).destroy(a, on_progress or _ignore)]


# -- the assembly ----------------------------------------------------------------------------------


def read_assembly(cdk_out: Path) -> list[StackArtifact]:
    """The stacks of an assembly, each after those it depends on.

    Raises:
        InvalidAssembly: there is no manifest, or it holds a nested assembly.
    """
    manifest = cdk_out / "manifest.json"
    if not manifest.exists():
        raise InvalidAssembly(f"{cdk_out} is no cloud assembly (no manifest.json): run `make synth` first")
    artifacts: dict[str, Any] = json.loads(manifest.read_bytes())["artifacts"]
    nested = [name for name, artifact in artifacts.items() if artifact["type"] == "cdk:cloud-assembly"]
    if nested:
        raise InvalidAssembly(f"{cdk_out} holds nested assemblies ({', '.join(nested)}): deploy each of their folders on its own")
    found = {name: _stack(cdk_out, name, artifacts) for name, a in artifacts.items() if a["type"] == "aws:cloudformation:stack"}
    return list(_in_order(found))


def _stack(cdk_out: Path, name: str, artifacts: dict[str, Any]) -> StackArtifact:
    artifact = artifacts[name]
    properties = artifact["properties"]
    region = artifact["environment"].rsplit("/", 1)[-1]
    if region == "unknown-region":
        raise InvalidAssembly(f"stack {name} names no region: give it env=Environment(region=...)")
    needed = artifact.get("dependencies", [])
    template_url = urlparse(_fill_in(properties["stackTemplateAssetObjectUrl"], region))
    return StackArtifact(
        name=properties.get("stackName", name),
        region=region,
        template=cdk_out / properties["templateFile"],
        template_url=f"https://s3.{region}.amazonaws.com/{template_url.netloc}{template_url.path}",
        execution_role=_fill_in(properties.get("cloudFormationExecutionRoleArn", ""), region),
        tags=properties.get("tags", {}),
        parameters=properties.get("parameters", {}),
        dependencies=tuple(n for n in needed if artifacts.get(n, {}).get("type") == "aws:cloudformation:stack"),
        assets=tuple(
            cdk_out / artifacts[n]["properties"]["file"] for n in needed if artifacts.get(n, {}).get("type") == "cdk:asset-manifest"
        ),
    )


def _in_order(found: dict[str, StackArtifact]) -> Iterator[StackArtifact]:
    seen: set[str] = set()

    def visit(name: str) -> Iterator[StackArtifact]:
        if name in seen:
            return
        seen.add(name)
        for dependency in found[name].dependencies:
            yield from visit(dependency)
        yield found[name]

    for name in found:
        yield from visit(name)


def _chosen(artifacts: list[StackArtifact], names: Sequence[str] | None) -> list[StackArtifact]:
    known = [artifact.name for artifact in artifacts]
    unknown = sorted(set(names or ()) - set(known))
    if unknown:
        raise InvalidAssembly(f"the assembly has no stack {', '.join(unknown)}; it has {', '.join(known)}")
    return [artifact for artifact in artifacts if names is None or artifact.name in names]


def _fill_in(text: str, region: str) -> str:
    for placeholder, value in (("AWS::AccountId", ACCOUNT), ("AWS::Region", region), ("AWS::Partition", "aws")):
        text = text.replace(f"${{{placeholder}}}", value)
    return text


def zip_folder(folder: Path) -> bytes:
    """A zip whose bytes depend on the files' paths, contents and executable bits only."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _ZIP_TIME)
            info.external_attr = (0o755 if path.stat().st_mode & 0o100 else 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, path.read_bytes())
    return stream.getvalue()


# -- the account -----------------------------------------------------------------------------------


def _ignore(_: Progress) -> None: ...


class _Account:
    """The embedded AWS's account in one region, as its root."""

    def __init__(self, url: str, region: str) -> None:
        self.region = region
        clients = Clients(url, region, attempts=3, read_timeout=900)
        self.s3, self.ssm, self.iam, self.cloudformation = (clients(service) for service in ("s3", "ssm", "iam", "cloudformation"))
        self._buckets: set[str] = set()

    def bootstrap(self, artifact: StackArtifact) -> None:
        """What a bootstrapped account has for CDK templates: a parameter and CloudFormation's role; a real one is left as it is."""
        try:
            self.ssm.get_parameter(Name=BOOTSTRAP_VERSION_PARAMETER)
        except self.ssm.exceptions.ParameterNotFound:
            self.ssm.put_parameter(Name=BOOTSTRAP_VERSION_PARAMETER, Value=BOOTSTRAP_VERSION, Type="String")
        role = artifact.execution_role.rsplit("/", 1)[-1]
        if role and not _exists(lambda: self.iam.get_role(RoleName=role)):
            trust = {"Effect": "Allow", "Principal": {"Service": "cloudformation.amazonaws.com"}, "Action": "sts:AssumeRole"}
            document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
            self.iam.create_role(RoleName=role, AssumeRolePolicyDocument=document)
            self.iam.attach_role_policy(RoleName=role, PolicyArn=EXECUTION_POLICY)

    def publish(self, artifact: StackArtifact) -> None:
        """Upload the file assets that are not there yet: an asset's key is its content's hash."""
        for manifest in artifact.assets:
            content = json.loads(manifest.read_bytes())
            if content.get("dockerImages"):
                raise InvalidAssembly(f"stack {artifact.name} has a Docker image asset, which the embedded AWS cannot build")
            for asset in content.get("files", {}).values():
                source = manifest.parent / asset["source"]["path"]
                for destination in asset["destinations"].values():
                    bucket, key = (_fill_in(destination[name], artifact.region) for name in ("bucketName", "objectKey"))
                    if not self._has(bucket, key):
                        zipped = asset["source"].get("packaging") == "zip"
                        self.s3.put_object(Bucket=bucket, Key=key, Body=zip_folder(source) if zipped else source.read_bytes())

    def _has(self, bucket: str, key: str) -> bool:
        if bucket not in self._buckets:
            where = {} if self.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
            if not _exists(lambda: self.s3.head_bucket(Bucket=bucket)):
                self.s3.create_bucket(Bucket=bucket, **where)
            self._buckets.add(bucket)
        return _exists(lambda: self.s3.head_object(Bucket=bucket, Key=key))

    def deploy(self, artifact: StackArtifact, on_progress: OnProgress) -> dict[str, str]:
        """Create or update one stack and wait for its end; returns its outputs. Raises DeployError."""
        stack = self._settled(artifact.name)
        if stack and stack["StackStatus"] in (
            "ROLLBACK_COMPLETE",
            "ROLLBACK_FAILED",
            "DELETE_FAILED",
            "REVIEW_IN_PROGRESS",
            "CREATE_FAILED",
        ):
            self.destroy(artifact, on_progress)
            stack = None
        request = {
            "StackName": artifact.name,
            "TemplateURL": artifact.template_url,
            "Capabilities": _CAPABILITIES,
            "Tags": [{"Key": key, "Value": value} for key, value in artifact.tags.items()],
            "Parameters": self._parameters(artifact, stack),
            # Named each time, as the CDK CLI does: a stack would otherwise keep the role of whoever updated it last.
            **({"RoleARN": artifact.execution_role} if artifact.execution_role else {}),
        }
        before = self._event_ids(artifact.name) if stack else set()
        try:
            (self.cloudformation.update_stack if stack else self.cloudformation.create_stack)(**request)
        except ClientError as error:
            reason = error.response["Error"]["Message"]
            if stack and "No updates are to be performed" in reason:
                on_progress(Progress(artifact.name, "nothing to change", artifact.resources, artifact.resources))
                return _outputs(stack)
            raise DeployError(artifact.name, "", reason) from None
        ended = self._wait(artifact, before, on_progress)
        if ended is None or ended["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            raise self._failure(artifact.name, ended, before)
        return _outputs(ended)

    def destroy(self, artifact: StackArtifact, on_progress: OnProgress) -> bool:
        stack = self._settled(artifact.name)
        if stack is None:
            return False
        before = self._event_ids(artifact.name)
        role = {"RoleARN": artifact.execution_role} if artifact.execution_role else {}
        self.cloudformation.delete_stack(StackName=artifact.name, **role)
        ended = self._wait(artifact, before, on_progress)
        if ended is not None and ended["StackStatus"] != "DELETE_COMPLETE":
            raise self._failure(artifact.name, ended, before)
        return True

    @staticmethod
    def _parameters(artifact: StackArtifact, stack: dict[str, Any] | None) -> list[dict[str, Any]]:
        """Given values; else the running stack's, as ``cdk deploy`` does: an SSM parameter's *name* is kept, its value is read anew."""
        declared = json.loads(artifact.template.read_bytes()).get("Parameters", {})
        given = [{"ParameterKey": key, "ParameterValue": value} for key, value in artifact.parameters.items()]
        kept = {parameter["ParameterKey"] for parameter in (stack or {}).get("Parameters", [])} & set(declared) - set(artifact.parameters)
        return given + [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept)]

    def _describe(self, name: str) -> dict[str, Any] | None:
        try:
            stacks: list[dict[str, Any]] = self.cloudformation.describe_stacks(StackName=name)["Stacks"]
            return stacks[0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise

    def _settled(self, name: str) -> dict[str, Any] | None:
        """The stack, once no earlier operation runs on it."""
        pauses = _pauses()
        while (
            (stack := self._describe(name))
            and stack["StackStatus"].endswith("_IN_PROGRESS")
            and stack["StackStatus"] != "REVIEW_IN_PROGRESS"
        ):
            time.sleep(next(pauses))
        return stack

    def _wait(self, artifact: StackArtifact, before: set[str], on_progress: OnProgress) -> dict[str, Any] | None:
        total, pauses = artifact.resources, _pauses()
        reported: tuple[int, str] | None = None
        while (stack := self._describe(artifact.name)) and stack["StackStatus"].endswith("_IN_PROGRESS"):
            events = self._events(artifact.name, before) if on_progress is not _ignore else []
            done = len({e["LogicalResourceId"] for e in events if e["ResourceStatus"].endswith("_COMPLETE")} - {artifact.name})
            current = f"{events[0]['LogicalResourceId']} {events[0]['ResourceStatus']}" if events else stack["StackStatus"]
            if (done, current) != reported:
                reported = (done, current)
                on_progress(Progress(artifact.name, current, min(done, total), total))
            time.sleep(next(pauses))
        if stack and stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            on_progress(Progress(artifact.name, stack["StackStatus"], total, total))
        return stack

    def _events(self, name: str, before: set[str]) -> list[dict[str, Any]]:
        """Events of the running operation, newest first."""
        events: list[dict[str, Any]] = []
        for page in self.cloudformation.get_paginator("describe_stack_events").paginate(StackName=name):
            new = [event for event in page["StackEvents"] if event["EventId"] not in before]
            events += new
            if len(new) < len(page["StackEvents"]):
                break
        return events

    def _event_ids(self, name: str) -> set[str]:
        return {event["EventId"] for event in self._events(name, set())}

    def _failure(self, name: str, ended: dict[str, Any] | None, before: set[str]) -> DeployError:
        """The first failure is the cause; later ones (cancelled siblings, the rollback's own) follow from it."""
        failed = [e for e in reversed(self._events(name, before)) if e["ResourceStatus"].endswith("_FAILED")] if ended else []
        of_resources = [event for event in failed if event["LogicalResourceId"] != name]
        for event in of_resources or failed:
            resource = f"{event['LogicalResourceId']} ({event['ResourceType']})"
            return DeployError(name, resource, event.get("ResourceStatusReason", event["ResourceStatus"]))
        return DeployError(
            name, "", f"{ended['StackStatus']}: {ended.get('StackStatusReason', '')}" if ended else "it vanished while it was deployed"
        )


def _pauses() -> Iterator[float]:
    """Short ones first: a small stack ends at once, and the wait for a large one is never much longer than it takes."""
    pause = _SHORTEST_PAUSE
    while True:
        yield pause
        pause = min(1.2 * pause, _LONGEST_PAUSE)


def _outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _exists(probe: Callable[[], Any]) -> bool:
    try:
        probe()
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        raise
    return True
