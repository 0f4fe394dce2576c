"""Production variants and the fleet of instances that an endpoint configuration asks for."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from embedded_aws.core import background
from embedded_aws.sagemaker.hosting import models
from embedded_aws.sagemaker.hosting.instances import Instance, InstanceFailed, start_all, stop_all

log = logging.getLogger("embedded_aws")

_HEALTH_CHECK_SECONDS = 0.25


class ProvisioningFailed(RuntimeError):
    """A variant's container did not come up; the text is the endpoint's FailureReason."""

    def __init__(self, variant: str) -> None:
        super().__init__(
            f"The primary container for production variant {variant} did not pass the ping health check. "
            "Please check CloudWatch logs for this endpoint."
        )


@dataclass(frozen=True)
class VariantProperties:
    """What may change without a new endpoint configuration, and what RetainAllVariantProperties keeps."""

    weight: float
    instance_count: int


def initial_properties(config: Mapping[str, Any]) -> dict[str, VariantProperties]:
    """Variant -> the weight and count that an endpoint configuration starts with."""
    return {
        variant["VariantName"]: VariantProperties(float(variant["InitialVariantWeight"]), int(variant["InitialInstanceCount"]))
        for variant in config["ProductionVariants"]
    }


def properties_after_update(
    running: Mapping[str, VariantProperties], config: Mapping[str, Any], *, retain: bool, excluded: Iterable[str] = ()
) -> dict[str, VariantProperties]:
    """Weights and counts of the new fleet: the configuration's initial values, or the running ones of the same variant name.

    Args:
        retain: RetainAllVariantProperties; false (the service's default) resets live weights and counts.
        excluded: ``DesiredWeight`` and/or ``DesiredInstanceCount`` to take from the configuration although ``retain`` is set.
    """
    initial = initial_properties(config)
    if not retain:
        return initial
    dropped = set(excluded)
    return {
        name: VariantProperties(
            value.weight if name not in running or "DesiredWeight" in dropped else running[name].weight,
            value.instance_count if name not in running or "DesiredInstanceCount" in dropped else running[name].instance_count,
        )
        for name, value in initial.items()
    }


@dataclass
class Variant:
    """A variant of one fleet: its live properties and its instances."""

    config: dict[str, Any]
    desired: VariantProperties
    current_weight: float
    instances: list[Instance] = field(default_factory=list)
    status: dict[str, Any] | None = None
    turn: int = 0

    @property
    def name(self) -> str:
        return str(self.config["VariantName"])

    @property
    def role_arn(self) -> str:
        return str(models.MODELS.need(self.config["ModelName"])["Described"]["ExecutionRoleArn"])

    def set_status(self, status: str | None, message: str = "") -> None:
        now = dt.datetime.now(dt.UTC)
        self.status = {"Status": status, "StatusMessage": message, "StartTime": now} if status else None

    def next_instance(self, active: int | None = None) -> Instance | None:
        """The next healthy instance in turn; of the first ``active`` ones while traffic is still being shifted."""
        healthy = [instance for instance in self.instances[:active] if instance.healthy]
        if not healthy:
            return None
        self.turn += 1
        return healthy[self.turn % len(healthy)]

    def describe(self) -> dict[str, Any]:
        image = models.MODELS.find(self.config["ModelName"])
        specified = image["Resolved"]["Image"] if image else "unknown"
        described: dict[str, Any] = {
            "VariantName": self.name,
            "DeployedImages": [{"SpecifiedImage": specified, "ResolvedImage": specified}],
            "CurrentWeight": self.current_weight,
            "DesiredWeight": self.desired.weight,
            "CurrentInstanceCount": len(self.instances),
            "DesiredInstanceCount": self.desired.instance_count,
        }
        return {**described, "VariantStatus": [self.status]} if self.status else described


class Fleet:
    """All variants of one endpoint configuration, and the health check that restarts dead instances."""

    def __init__(self, endpoint_name: str, config: Mapping[str, Any], properties: Mapping[str, VariantProperties]) -> None:
        self.endpoint_name = endpoint_name
        self.config = dict(config)
        self.variants = {
            variant["VariantName"]: Variant(variant, properties[variant["VariantName"]], properties[variant["VariantName"]].weight)
            for variant in config["ProductionVariants"]
        }
        self._closed = threading.Event()
        self._watching = False

    @property
    def config_name(self) -> str:
        return str(self.config["EndpointConfigName"])

    def provision(self) -> None:
        """Start the instances that every variant wants and does not have.

        Raises:
            ProvisioningFailed: a container did not come up; nothing new is left running.
            ApiError: an artifact can no longer be read.
        """
        added = {name: self._missing(variant) for name, variant in self.variants.items()}
        try:
            start_all([instance for instances in added.values() for instance in instances])
        except InstanceFailed as failure:
            culprit = next(name for name, variant in self.variants.items() if variant.config["ModelName"] == str(failure))
            raise ProvisioningFailed(culprit) from None
        for name, instances in added.items():
            self.variants[name].instances.extend(instances)
        if not self._watching:
            self._watching = True
            background.start(self._watch, f"health-{self.endpoint_name}")

    def _missing(self, variant: Variant) -> list[Instance]:
        wanted = variant.desired.instance_count - len(variant.instances)
        if wanted <= 0:
            return []
        model = models.served(variant.config["ModelName"])
        return [Instance(model, f"{self.endpoint_name}/{variant.name}") for _ in range(wanted)]

    def surplus(self) -> list[Instance]:
        """Take the instances beyond the desired counts out of rotation; the caller stops them."""
        taken: list[Instance] = []
        for variant in self.variants.values():
            count = variant.desired.instance_count
            taken += variant.instances[count:]
            variant.instances = variant.instances[:count]
        return taken

    def properties(self) -> dict[str, VariantProperties]:
        return {name: variant.desired for name, variant in self.variants.items()}

    def weights(self) -> dict[str, float]:
        return {name: variant.current_weight for name, variant in self.variants.items()}

    def close(self) -> None:
        """Let requests in flight end and stop every instance."""
        self._closed.set()
        stop_all([instance for variant in self.variants.values() for instance in variant.instances])

    def _watch(self) -> None:
        while not self._closed.is_set():
            for variant in self.variants.values():
                for instance in list(variant.instances):
                    if instance.has_died() and not self._closed.is_set():
                        self._restart(variant, instance)
            self._closed.wait(_HEALTH_CHECK_SECONDS)

    def _restart(self, variant: Variant, instance: Instance) -> None:
        """One that does not come up is tried again at the next check, whatever the reason."""
        instance.healthy = False
        log.warning("an instance of %s/%s died and is started again", self.endpoint_name, variant.name)
        try:
            instance.start()
        except InstanceFailed:
            time.sleep(_HEALTH_CHECK_SECONDS)
        except background.Overtaken:
            raise
        except Exception as error:
            log.warning("it cannot be started: %s: %s", type(error).__name__, error)
