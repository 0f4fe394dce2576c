"""What a rollout's functions talk to, held in memory: the three records, the endpoint stack, the endpoint, and a clock.

It answers as the services do, for the calls that the functions make. It also watches the order of things: the experiment's record names an
experiment only while both of its models are in place, and no stack update begins before it is ``none``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError
from deployed_definition import stage_names

from lambdas.common.experiment import Experiment
from lambdas.common.release import Release

NAMES = stage_names("dev")
OLD, NEW, OTHER = (NAMES.model_packages_arn.replace("*", number) for number in "123")
ALONE = Release(OLD, OLD)
FLEET_SECONDS, SHIFT_SECONDS = 90, 30
"""How long an update of the stack and a change of the weights take here."""


def client_error(code: str, message: str, operation: str = "Operation") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@dataclass
class Endpoint:
    """Packages, weights and instance counts by variant."""

    packages: dict[str, str]
    weights: dict[str, float] = field(default_factory=lambda: {"champion": 1.0, "challenger": 0.0})
    counts: dict[str, int] = field(default_factory=lambda: {"champion": 2, "challenger": 2})
    status: str = "InService"
    config: int = 1


class World:
    """Args: ``served``: the release that runs at first; None: nothing was ever released."""

    def __init__(self, served: Release | None = ALONE) -> None:
        self.now = datetime(2026, 11, 24, 10, tzinfo=UTC)
        self.parameters = {"/release": served.format() if served else "none,none", "/experiment": "none", "/rollout-control": "none"}
        self.endpoint = Endpoint({"champion": served.champion, "challenger": served.challenger}) if served else None
        self.stack_status = "UPDATE_COMPLETE"
        self.packages = dict.fromkeys((OLD, NEW, OTHER), "Approved")
        self.from_elsewhere: set[str] = set()
        """Packages that name no training job."""
        self.others: list[dict[str, Any]] = []
        """Running executions of the same machine."""
        self.silently_refused: set[str] = set()
        """Packages whose fleet an alarm takes back: the stack reports success all the same."""
        self.openly_refused: set[str] = set()
        """Packages with which the stack's update fails and is rolled back."""
        self.ruinous: set[str] = set()
        """Packages whose update ends with a failed endpoint and a stuck stack."""
        self.experiments: list[Experiment] = []
        """Every record of an experiment, in order."""
        self.writes: list[str] = []
        """Every call that changes something: the operation, or ``parameter=value``."""
        self.asked: list[str] = []
        """Every change of weights or instances, in order, such as ``challenger 0.5`` and ``champion 6 instances``."""
        self.challenger_bounds = (2, 6)
        """Fewest and most instances that autoscaling may give to the challenger."""
        self._pending: list[tuple[datetime, Callable[[], None]]] = []
        self._failures: dict[str, list[Exception]] = {}

    # -- what a case does ----------------------------------------------------------------------------

    def fail_next(self, operation: str, *errors: Exception) -> None:
        """The next calls of an operation, such as ``describe_endpoint``, raise these."""
        self._failures.setdefault(operation, []).extend(errors)

    def pass_by(self, seconds: float) -> None:
        """The clock moves on; what has become due happens in its order."""
        end = self.now + timedelta(seconds=seconds)
        while due := min((item for item in self._pending if item[0] <= end), default=None, key=lambda item: item[0]):
            self._pending.remove(due)
            self.now = due[0]
            due[1]()
        self.now = end

    def clock(self, zone: tzinfo) -> datetime:
        """As ``datetime.now``."""
        return self.now.astimezone(zone)

    def later(self, seconds: float, happens: Callable[[], None]) -> None:
        self._pending.append((self.now + timedelta(seconds=seconds), happens))

    def cdk_deploy(self, seconds: float = 300) -> None:
        """Another change of the endpoint stack, with the same release: the stack is busy, the endpoint keeps models, weights and counts."""
        self.stack_status = "UPDATE_IN_PROGRESS"
        self.later(seconds, lambda: setattr(self, "stack_status", "UPDATE_COMPLETE"))

    def autoscaler(self, variant: str, count: int, seconds: float = 120) -> None:
        """It changes an instance count; the endpoint is Updating meanwhile."""
        endpoint = self._endpoint()
        endpoint.status = "Updating"
        endpoint.counts[variant] = count
        self.later(seconds, lambda: setattr(endpoint, "status", "InService"))

    def _endpoint(self) -> Endpoint:
        assert self.endpoint is not None, "there is no endpoint"
        return self.endpoint

    # -- the services --------------------------------------------------------------------------------

    def client(self, service: str, config: Any = None) -> Any:
        return SimpleNamespace(
            **{
                name: self._guarded(name)
                for name in dir(self)
                if name.startswith(("describe_", "list_", "get_", "put_", "update_", "continue_", "register_"))
            }
        )

    def _guarded(self, operation: str) -> Callable[..., Any]:
        def call(*arguments: Any, **request: Any) -> Any:
            if self._failures.get(operation):
                raise self._failures[operation].pop(0)
            return getattr(self, operation)(*arguments, **request)

        return call

    def get_parameter(self, Name: str) -> dict[str, Any]:  # noqa: N803  (boto3's names, also below)
        return {"Parameter": {"Value": self.parameters[Name]}}

    def put_parameter(self, Name: str, Value: str, Overwrite: bool) -> None:  # noqa: N803
        assert Overwrite
        if Name == "/experiment" and (experiment := Experiment.parse(Value)):
            assert self._endpoint().status == "InService"
            assert self._endpoint().packages == {"champion": OLD, "challenger": NEW}, "both models are in place"
            assert self._endpoint().weights["challenger"] == experiment.share, "the share is live"
            self.experiments.append(experiment)
        self.parameters[Name] = Value
        self.writes.append(f"{Name}={Value}")

    def list_executions(self, stateMachineArn: str, statusFilter: str) -> dict[str, Any]:  # noqa: N803
        return {"executions": self.others}

    def describe_model_package(self, ModelPackageName: str) -> dict[str, Any]:  # noqa: N803
        if ModelPackageName not in self.packages:
            raise client_error("ValidationException", f"ModelPackage {ModelPackageName} does not exist")
        found: dict[str, Any] = {"ModelApprovalStatus": self.packages[ModelPackageName]}
        if ModelPackageName not in self.from_elsewhere:
            found["CustomerMetadataProperties"] = {"training_job": f"job-{ModelPackageName.rsplit('/', 1)[1]}"}
        return found

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:  # noqa: N803
        if self.endpoint is None:
            raise client_error("ValidationException", f"Could not find endpoint {EndpointName}")
        return {
            "EndpointName": EndpointName,
            "EndpointStatus": self.endpoint.status,
            "EndpointConfigName": f"config-{self.endpoint.config}",
            "FailureReason": "an alarm rang" if self.silently_refused else "no capacity",
            "ProductionVariants": [
                {"VariantName": variant, "CurrentWeight": weight, "CurrentInstanceCount": self.endpoint.counts[variant]}
                for variant, weight in self.endpoint.weights.items()
            ],
        }

    def describe_endpoint_config(self, EndpointConfigName: str) -> dict[str, Any]:  # noqa: N803
        return {"ProductionVariants": [{"VariantName": name, "ModelName": package} for name, package in self._endpoint().packages.items()]}

    def describe_model(self, ModelName: str) -> dict[str, Any]:  # noqa: N803
        return {"PrimaryContainer": {"ModelPackageName": ModelName}}

    def update_endpoint_weights_and_capacities(self, EndpointName: str, DesiredWeightsAndCapacities: list[dict[str, Any]]) -> None:  # noqa: N803
        endpoint = self._endpoint()
        if endpoint.status != "InService":
            raise client_error("ValidationException", f'Cannot update in-progress endpoint "{EndpointName}".')
        self.writes.append("update_endpoint_weights_and_capacities")
        last = DesiredWeightsAndCapacities[-1]
        count = last.get("DesiredInstanceCount")
        self.asked.append(f"{last['VariantName']} {last['DesiredWeight'] if count is None else f'{count} instances'}")
        endpoint.status = "Updating"

        def live() -> None:
            for change in DesiredWeightsAndCapacities:
                if "DesiredWeight" in change:
                    endpoint.weights[change["VariantName"]] = change["DesiredWeight"]
                if "DesiredInstanceCount" in change:
                    endpoint.counts[change["VariantName"]] = change["DesiredInstanceCount"]
            endpoint.status = "InService"

        self.later(SHIFT_SECONDS, live)

    def register_scalable_target(self, ResourceId: str, MinCapacity: int, MaxCapacity: int, **_: str) -> None:  # noqa: N803
        assert ResourceId.endswith("/variant/challenger")
        self.challenger_bounds = (MinCapacity, MaxCapacity)

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        stack = {"StackName": StackName, "StackStatus": self.stack_status, "Parameters": [{"ParameterKey": "Release"}]}
        return {"Stacks": [stack]}

    def get_paginator(self, operation: str) -> Any:
        assert operation == "describe_stack_events"
        events = [{"LogicalResourceId": "Endpoint", "ResourceStatus": "UPDATE_FAILED", "ResourceStatusReason": "no capacity"}]
        return SimpleNamespace(paginate=lambda **_: [{"StackEvents": events}])

    def continue_update_rollback(self, **request: Any) -> None:
        self.writes.append("continue_update_rollback")
        self.stack_status = "UPDATE_ROLLBACK_IN_PROGRESS"
        self.later(FLEET_SECONDS, lambda: setattr(self, "stack_status", "UPDATE_ROLLBACK_COMPLETE"))

    def update_stack(self, **request: Any) -> None:
        """The record as it is now is put in place by a fleet shift."""
        assert request["UsePreviousTemplate"]
        assert request["Parameters"] == [{"ParameterKey": "Release", "UsePreviousValue": True}]
        assert self.parameters["/experiment"] == "none", "no experiment runs while a release changes what the variants run"
        assert not self.stack_status.endswith("_IN_PROGRESS")
        release = Release.parse(self.parameters["/release"])
        wanted = {"champion": release.champion, "challenger": release.challenger} if release.exists else None
        if wanted == (self.endpoint.packages if self.endpoint else None) and (self.endpoint is None or self.endpoint.status == "InService"):
            raise client_error("ValidationError", "No updates are to be performed.")
        self.writes.append(f"update_stack={self.parameters['/release']}")
        self.stack_status = "UPDATE_IN_PROGRESS"
        if self.endpoint is not None and self.endpoint.status == "InService":
            self.endpoint.status = "Updating"
        self.later(FLEET_SECONDS, lambda: self._updated(wanted))

    def _updated(self, wanted: dict[str, str] | None) -> None:
        asked = set((wanted or {}).values())
        if wanted is not None and self.endpoint is not None and self.endpoint.status == "Failed":
            self.stack_status = "UPDATE_ROLLBACK_FAILED"  # such an endpoint takes no update any more
            return
        refused = asked & self.openly_refused or not asked <= set(self.packages)
        self.stack_status = "UPDATE_ROLLBACK_COMPLETE" if refused else "UPDATE_COMPLETE"
        if asked & self.ruinous:
            self.stack_status, self._endpoint().status = "UPDATE_ROLLBACK_FAILED", "Failed"
        elif refused or asked & self.silently_refused:
            if self.endpoint is not None:
                self.endpoint.status = "InService"
        elif wanted is None:
            self.endpoint = None
        elif self.endpoint is None:
            self.endpoint = Endpoint(wanted)
        else:
            self.endpoint.packages, self.endpoint.status = wanted, "InService"
            self.endpoint.config += 1

    # -- what is left --------------------------------------------------------------------------------

    @property
    def record(self) -> str:
        return self.parameters["/release"]

    @property
    def runs(self) -> dict[str, str]:
        return self._endpoint().packages

    def tell(self, rollout: str = "r-1", **told: Any) -> None:
        """A person writes the control record."""
        self.parameters["/rollout-control"] = json.dumps({"rollout": rollout, "by": "ada", **told})
