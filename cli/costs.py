"""What a stage costs in an account: AWS's list prices, and the rows of the ``cost`` of a report. The demo's report has them, too."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from stacks.settings import Settings

HOURS_A_MONTH = 730
Price = Callable[[str, str], float | None]
"""``price(instance type, component)`` in US dollars per hour; None where none was found. A component is Training, Processing or Hosting."""
Row = dict[str, Any]
"""``what``, ``amount``, ``basis``; of hours with a price also ``instance_type``, ``seconds``, ``price_an_hour`` and ``dollars``."""


def list_price(session: Any, region: str) -> Price:
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


def priced(row: Row, instance_type: str, seconds: float, price: float | None) -> Row:
    """The row of so many seconds of one instance, with what they cost; ``price`` in US dollars per hour, None where it is not known."""
    dollars = None if price is None else round(seconds / 3_600 * price, 4)
    return {**row, "instance_type": instance_type, "seconds": seconds, "price_an_hour": price, "dollars": dollars}


def endpoint_instances(settings: Settings) -> int:
    """Instances that run all the time, of both variants."""
    hosting = settings.hosting
    return 2 * (hosting.scaling.min_instances if hosting.scaling else hosting.initial_instance_count)


def always_on(settings: Settings) -> Row:
    """The endpoint for a month."""
    instances = endpoint_instances(settings)
    each = instances // 2
    return {
        "what": "the endpoint, always on",
        "amount": f"{instances} x {HOURS_A_MONTH} h of {settings.hosting.instance_type} a month",
        "basis": f"two variants with {each} instance{'s' if each > 1 else ''} each; an update bills both fleets while it lasts",
    }


def people(settings: Settings, review_share: float) -> list[Row]:
    """The answers that people give; no row where nobody is asked, or where one threshold for all models replaces the model's own.

    Args:
        review_share: share of the test texts that the model's own threshold sends to people, 0..1.
    """
    review = settings.review
    if review.backend == "none" or review.threshold != "model":
        return []
    share = review_share + (1 - review_share) * review.audit_share
    most = "" if review.answer_rule == "fixed" else "at most "
    return [
        {
            "what": "people, for 1,000 predictions",
            "amount": f"{most}{1_000 * share * review.workers_per_task:.0f} answers",
            "basis": f"{100 * share:.0f} % of the texts are reviewed by {most}{review.workers_per_task}: the unsure ones "
            f"({100 * review_share:.0f} % of the test texts), and {100 * review.audit_share:.0f} % of the others at random"
            + ("" if review.daily_budget is None else f"; of the unsure ones at most {review.daily_budget:,} a day"),
        }
    ]
