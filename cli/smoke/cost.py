"""What a run of ``smoke`` can cost, said before it starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from stacks.settings import Settings

_COMPONENTS = {"Training": "Training", "Processing": "Processing", "Hosting": "Hosting"}


@dataclass(frozen=True)
class Item:
    """Instance hours: ``usual`` and ``most`` in hours; ``price`` in US dollars per hour, None where no price was found."""

    what: str
    instance_type: str
    usual: float
    most: float
    price: float | None

    def sentence(self) -> str:
        money = "price unknown" if self.price is None else f"${self.usual * self.price:.2f}, at most ${self.most * self.price:.2f}"
        return f"{self.what} on {self.instance_type}: some {60 * self.usual:.0f} minutes ({money})"


def estimate(settings: Settings, minutes: float, price: Callable[[str, str], float | None]) -> list[Item]:
    """``price(instance type, component)``; a component is Training, Processing or Hosting. Startup is billed too."""
    job, most = settings.tuning.max_runtime_seconds / 3_600, minutes / 60
    tuning = settings.tuning
    return [
        Item("one training job", tuning.instance_type, 6 / 60, min(job, most), price(tuning.instance_type, "Training")),
        Item(
            "one evaluation",
            tuning.evaluation_instance_type,
            5 / 60,
            min(job, most),
            price(tuning.evaluation_instance_type, "Processing"),
        ),
        Item("one endpoint instance", settings.hosting.instance_type, 10 / 60, 2 * most, price(settings.hosting.instance_type, "Hosting")),
    ]


def list_price(session: Any, region: str) -> Callable[[str, str], float | None]:
    """On-demand prices from AWS's price list, whose API is in us-east-1; None where the list has no price."""
    client = session.client("pricing", region_name="us-east-1")

    def price(instance_type: str, component: str) -> float | None:
        filters = {"regionCode": region, "instanceName": instance_type, "component": component}
        wanted = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in filters.items()]
        try:
            found = client.get_products(ServiceCode="AmazonSageMaker", Filters=wanted, MaxResults=1)["PriceList"]
        except (ClientError, BotoCoreError):
            return None
        return _dollars(json.loads(found[0])) if found else None

    return price


def _dollars(product: dict[str, Any]) -> float | None:
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            return float(dimension["pricePerUnit"]["USD"])
    return None
