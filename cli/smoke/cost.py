"""What a run of ``smoke`` can cost, said before it starts."""

from __future__ import annotations

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


def estimate(settings: Settings, minutes: float, price: Price) -> list[Item]:
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
