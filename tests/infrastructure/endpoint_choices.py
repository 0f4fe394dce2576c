"""The settings that the endpoint stack is tested with, and its stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apps import template_of
from aws_cdk.assertions import Template

from stacks.endpoint import EndpointStack
from stacks.settings import Settings, load_settings
from stacks.settings.api import ApiSettings
from stacks.settings.network import NetworkSettings
from stacks.settings.scaling import ScalingSettings

SETTINGS = Path(__file__).resolve().parents[2] / "settings"
DEV, PROD = (load_settings(SETTINGS / f"{stage}.yaml") for stage in ("dev", "prod"))
VPC = NetworkSettings(mode="vpc", subnet_ids=("subnet-0a1b",), security_group_ids=("sg-0c2d",))


def hosting(**changes: Any) -> Settings:
    shift = DEV.hosting.fleet_shift.model_copy(update=changes.pop("shift", {}))
    return DEV.model_copy(update={"hosting": DEV.hosting.model_copy(update={"fleet_shift": shift, **changes})})


CHOICES = {
    "dev": DEV,
    "prod": PROD,
    "vpc": DEV.model_copy(update={"network": VPC}),
    "own disks": hosting(instance_type="ml.m5d.large"),
    "linear": hosting(shift={"type": "LINEAR"}),
    "at once": hosting(shift={"type": "ALL_AT_ONCE", "termination_wait_seconds": 300}, scaling=None, initial_instance_count=1),
    "scaled by concurrency": hosting(
        scaling=ScalingSettings(
            max_instances=5,
            metric="concurrency",
            concurrent_requests_per_instance=1.5,
            floors={"0 7 ? * MON-FRI *": 4, "0 19 ? * MON-FRI *": 2},
        )
    ),
    "account role kept": DEV.model_copy(update={"api": ApiSettings(manage_account_role=False)}),
    "longest names": DEV.model_copy(update={"name": "abcdefghijklmno", "stage": "abcdefgh"}),
}


def endpoint_template(settings: Settings) -> Template:
    return template_of(EndpointStack, settings)


NEW_FLEET = {"Fn::GetAtt": ["EndpointConfig", "EndpointConfigName"]}
"""In the dimensions of what watches the fleet that is coming up."""


def variant_alarms(template: Template, *, green: bool) -> dict[str, dict[str, Any]]:
    """Logical id -> the alarms on hosting metrics: of the one new fleet, or of everything that serves a variant."""
    found = template.find_resources("AWS::CloudWatch::Alarm")
    return {name: item for name, item in found.items() if "AWS/SageMaker" in str(item) and (str(NEW_FLEET) in str(item)) is green}
