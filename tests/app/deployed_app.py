"""An app, or some of its stacks, deployed in an embedded AWS of its own: what every test of one asks and looks at."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from contracts.dataset import Manifest
from embedded_aws.tools import launcher
from embedded_aws.tools.clients import ACCOUNT, Clients
from stacks.names import Names
from stacks.settings import Settings, load_settings

DEV = load_settings(launcher.ROOT / "settings" / "dev.yaml")
NAMES = Names(DEV, ACCOUNT)
"""Names of the stage dev in the embedded AWS."""
TIME_SCALE = 0.02


LABELS = ("negative", "neutral", "positive")


def name_labels(client: Callable[[str], Any], settings: Settings = DEV, names: Mapping[str, str] | None = None) -> None:
    """Make a dataset version current that has the three labels and no rows: people can then be asked.

    Args:
        names: label -> what people see of it.
    """
    ours = Names(settings, ACCOUNT)
    bucket = ours.bucket("data")
    manifest = Manifest("0" * 16, None, LABELS, {}, {}, {}, {"train/data.jsonl": "0" * 64}, label_names=names or {})
    client("s3").put_object(Bucket=bucket, Key="datasets/labels/manifest.json", Body=manifest.to_json().encode())
    parameter = ours.parameter("dataset")
    client("ssm").put_parameter(Name=parameter, Value=f"s3://{bucket}/datasets/labels", Type="String", Overwrite=True)


@dataclass
class DeployedApp:
    """Stacks of one stage; ``outputs`` are theirs, by stack and output."""

    emulator: launcher.Emulator
    settings: Settings
    assembly: Path
    outputs: dict[str, dict[str, str]]

    @cached_property
    def client(self) -> Clients:
        """``app.client("s3")``: boto3 clients of root; ``app.client("s3", credentials)``: of a role."""
        return Clients(self.emulator.url, self.settings.region)

    @property
    def names(self) -> Names:
        return Names(self.settings, ACCOUNT)

    def record(self, prediction_id: str) -> dict[str, Any]:
        """The prediction's item, numbers as Decimal; empty when there is none."""
        table = self.client.resource("dynamodb").Table(self.names.predictions_table)
        found: dict[str, Any] = table.get_item(Key={"prediction_id": prediction_id}).get("Item", {})
        return found

    def dead_letters(self, queue: str) -> int:
        """How many messages lie in the dead-letter queue of ``queue``."""
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName=self.names.queue(f"{queue}-dlq"))["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
        return int(attributes["ApproximateNumberOfMessages"])

    def denied(self) -> list[str]:
        """Every refused call so far, as ``principal action resource``."""
        decisions = (json.loads(line) for line in self.emulator.audit_file.read_text().splitlines())
        return [f"{one['principal']} {one['action']} {one['resource']}" for one in decisions if not one["allowed"]]
