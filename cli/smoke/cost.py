"""What the instances of a run of ``smoke`` can cost, said before it starts.

Requests, storage and queries come on top. They cost little beside instances.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cli.costs import Price
from stacks.settings import Settings


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


def estimate(settings: Settings, minutes: float, price: Price, legs: Collection[str]) -> list[Item]:
    """The instances that these legs start; none for legs that only make requests. Startup is billed too.

    Args:
        price: ``price(instance type, component)``; a component is Training, Processing or Hosting.
        legs: names of the legs that will run. ``endpoint`` serves the model of ``tuning``, so without that one it starts nothing.
    """
    job, most = settings.tuning.max_runtime_seconds / 3_600, minutes / 60
    items = []

    def add(what: str, instance_type: str, component: str, usual: float, longest: float) -> None:
        items.append(Item(what, instance_type, usual / 60, longest, price(instance_type, component)))

    if "tuning" in legs:
        add("one training job", settings.tuning.instance_type, "Training", 6, min(job, most))
        add("one evaluation", settings.tuning.evaluation_instance_type, "Processing", 5, min(job, most))
        if "endpoint" in legs:
            add("one endpoint instance", settings.hosting.instance_type, "Hosting", 10, 2 * most)
    return items
