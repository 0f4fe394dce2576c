"""The pictures of the hosted review page in docs/, taken from the deployed page: ``python -m local.demo.pictures``.

Deploys the stacks foundation and review of the stage ``newacct``, with the guidelines of the stage ``dev``, into an embedded AWS of its
own, lets people answer over the page's routes, and signs a lead in with a real browser. The texts are invented. Ages and times are those of
the run; everything else is the same each time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from aws_cdk import App

from contracts.dataset import Manifest
from embedded_aws.public_hosts import names as hosts
from embedded_aws.tools import deployer, launcher
from embedded_aws.tools.clients import Clients
from lambdas.common.review import Origin, ReviewReason, ReviewRequest
from local.demo.people_page import Reviewer, Visitor, code
from stacks.application import FEATURE_FLAGS
from stacks.foundation import FoundationStack
from stacks.names import LEADS, REVIEWERS, Names
from stacks.review import ReviewStack
from stacks.settings import Settings, load_settings

IMAGES = launcher.ROOT / "docs" / "images"
PASSWORD = "Reviewer-Local-1"  # noqa: S105  (of a pool that lives as long as this program)
MOST_BYTES = 150_000
LABELS = {"negative": "Negative", "neutral": "Neutral", "positive": "Positive"}
TEXTS = (
    "The room was clean and quiet, and breakfast was better than we had hoped.",
    "We waited for an hour at the desk. Nobody said why.",
    "The pool is on the third floor, and the gym is next to it.",
    "For this price I had expected a window that can be opened.",
    "They kept our bags after we had left, without being asked. Thank you!",
    "The bus from the airport stops in front of the door.",
    "Well, the bed was soft. I cannot say the same of the bread.",
    "The staff were kind, but the lift was out of order all week and our room was on the sixth floor.\n\n"
    "I would come back in another season, when the street is not being repaired.",
)
_ANSWERS = ("Positive", "Negative", "Neutral", "Negative", "Positive", "Neutral")
_WAIT_SECONDS, _UNDO_SECONDS = 180, 5


@dataclass(frozen=True)
class Picture:
    """``lead``: of the lead's page. ``scale`` is that of the page's zoom: 2 is 200 %."""

    name: str
    width: int
    height: int
    lead: bool = False
    scheme: Literal["light", "dark"] = "light"
    forced_colors: Literal["none", "active"] = "none"
    scale: int = 1
    touch: bool = False


DOCS = (
    Picture("worker-page", 1180, 880),
    Picture("worker-page-phone", 390, 760, touch=True),
    Picture("lead-page", 1180, 960, lead=True),
)
LOOKS = (
    Picture("dark", 1180, 700, scheme="dark"),
    Picture("phone-landscape", 760, 390, touch=True),
    Picture("zoom", 640, 400, scale=2),
    Picture("forced-colors", 1180, 700, forced_colors="active"),
    Picture("lead-dark", 1180, 940, lead=True, scheme="dark"),
    Picture("lead-phone", 390, 1_400, lead=True, touch=True),
    Picture("lead-zoom", 640, 800, lead=True, scale=2),
    Picture("lead-forced-colors", 1180, 940, lead=True, forced_colors="active"),
)
"""Not for docs: how the pages look elsewhere."""


@dataclass
class Page:
    """The deployed page, with people's accounts. ``keys`` has the authenticator's key of who has signed in."""

    emulator: launcher.Emulator
    settings: Settings
    outputs: dict[str, str]
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def client(self) -> Clients:
        return Clients(self.emulator.url, self.settings.region)

    @property
    def names(self) -> Names:
        return Names(self.settings, "000000000000")

    @property
    def address(self) -> str:
        """As a browser of this machine finds it."""
        parts = urlsplit(self.outputs["ReviewPageUrl"])
        return hosts.address(parts.netloc, self.emulator.port) + parts.path

    def name_labels(self) -> None:
        bucket = self.names.bucket("data")
        manifest = Manifest("0" * 16, None, tuple(LABELS), {}, {}, {}, {"train/data.jsonl": "0" * 64}, label_names=LABELS)
        self.client("s3").put_object(Bucket=bucket, Key="datasets/labels/manifest.json", Body=manifest.to_json().encode())
        parameter = self.names.parameter("dataset")
        self.client("ssm").put_parameter(Name=parameter, Value=f"s3://{bucket}/datasets/labels", Type="String", Overwrite=True)

    def ask(self) -> None:
        """Send the texts, in order, and wait until the page has them all."""
        sqs, table = self.client("sqs"), self.client.resource("dynamodb").Table(self.names.review_tasks_table)
        queue = sqs.get_queue_url(QueueName=self.names.queue("review-requests"))["QueueUrl"]
        for number, text in enumerate(TEXTS, 1):
            origin = Origin("champion", "m1", 0.6, "2026-11-23T10:00:00+00:00", 1_900_000_000)
            request = ReviewRequest(f"{number:032x}", text, "positive", 0.4, ReviewReason.LOW_CONFIDENCE, 1, origin)
            sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(asdict(request)))
            _until(partial(_has_tasks, table, number))

    def invite(self, name: str, *groups: str) -> None:
        cognito, pool = self.client("cognito-idp"), self.outputs["UserPoolId"]
        cognito.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS")
        cognito.admin_set_user_password(UserPoolId=pool, Username=name, Password=PASSWORD, Permanent=True)
        for group in groups:
            cognito.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName=group)

    def reviewer(self, name: str, *groups: str) -> Reviewer:
        self.invite(name, *groups)
        person = Reviewer(Visitor(self.emulator.port), self.outputs["ReviewPageUrl"])
        self.keys[name] = person.sign_in(name, PASSWORD)
        return person


def people_answer(page: Page) -> None:
    """Two people answer six texts and differ once. One of them flags a task, a third one holds a task, and the lead disputes another one.

    At the end nobody can take an answer back any more.
    """
    ann, bob = (page.reviewer(name, REVIEWERS) for name in ("ann", "bob"))
    for number, label in enumerate(_ANSWERS):
        for person in (ann, bob):
            task = person.next()["task"]["id"]
            if person is bob and number == 1:
                person.post("flags", {"task": task, "note": "Is nobody at the desk a fact, or a complaint?"})
            person.answer(task, "Neutral" if person is bob and number == len(_ANSWERS) - 3 else label)
    page.reviewer("eve", REVIEWERS).next()
    lead = page.reviewer("lena", REVIEWERS, LEADS)
    lead.post(
        "lead/disputes", {"task": lead.next()["task"]["id"], "note": "Praise and a complaint: say in the guidelines which one decides."}
    )
    time.sleep(_UNDO_SECONDS)
    page.client("lambda").invoke(FunctionName=page.names.function("sweep"), Payload=b"{}")


@contextmanager
def deployed(folder: Path) -> Iterator[Page]:
    chosen = load_settings(launcher.ROOT / "settings" / "newacct.yaml")
    said = load_settings(launcher.ROOT / "settings" / "dev.yaml").review.guidelines
    named = {key: one.model_copy(update={"name": LABELS.get(key)}) for key, one in said.labels.items()}
    changes = {"undo_seconds": _UNDO_SECONDS, "guidelines": said.model_copy(update={"labels": named})}
    settings = chosen.model_copy(update={"review": chosen.review.model_copy(update=changes)})
    app = App(outdir=str(folder / "cdk.out"), context=FEATURE_FLAGS, analytics_reporting=False)
    foundation = FoundationStack(app, settings)
    ReviewStack(app, settings).add_stack_dependency(foundation)
    app.synth()
    emulator = launcher.start(folder / "run", port=launcher.free_port())
    try:
        outputs = deployer.deploy(folder / "cdk.out", emulator.url)
        made = Page(emulator, settings, outputs[Names(settings, "000000000000").stack("review")])
        made.name_labels()
        yield made
    finally:
        emulator.stop()


def take(page: Page, pictures: tuple[Picture, ...], folder: Path) -> None:
    """Sign the lead in, once for each picture's browser settings, and write the pictures."""
    from playwright.sync_api import sync_playwright  # of the tests; nothing else of the demo needs a browser

    chromium = os.environ.get("REVIEWLOOP_CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        first = browser.new_context()
        first.set_default_timeout(_WAIT_SECONDS * 1_000)
        _sign_in(first.new_page(), page)
        state: Any = first.storage_state()
        for one in pictures:
            context = browser.new_context(
                viewport={"width": one.width, "height": one.height}, color_scheme=one.scheme, forced_colors=one.forced_colors,
                device_scale_factor=one.scale, has_touch=one.touch, is_mobile=one.touch, storage_state=state, locale="en-GB",
                reduced_motion="reduce",
            )  # fmt: skip
            context.set_default_timeout(_WAIT_SECONDS * 1_000)
            opened = context.new_page()
            opened.goto(f"{page.address}/lead" if one.lead else page.address)
            if one.lead:
                opened.locator("#people table").wait_for()
            else:
                opened.locator("iframe[data-ready=true]:not([hidden])").wait_for()
            opened.wait_for_timeout(500)
            path = folder / f"{one.name}.png"
            opened.screenshot(path=path, animations="disabled")
            context.close()
        browser.close()


def _sign_in(opened: Any, page: Page) -> None:
    opened.goto(page.address)
    opened.get_by_label("User name").fill("lena")
    opened.get_by_label("Password").fill(PASSWORD)
    opened.keyboard.press("Enter")
    if page.keys["lena"]:
        # The code of the first sign-in is spent.
        time.sleep(31 - time.time() % 30)
        opened.get_by_label("Code").fill(code(page.keys["lena"], time.time()))
        opened.keyboard.press("Enter")
    opened.locator("#task, iframe.task, main").first.wait_for()
    opened.wait_for_url(f"{page.address}*")


def _has_tasks(table: Any, wanted: int) -> bool:
    return len([item for item in table.scan()["Items"] if item["sk"] == "task"]) == wanted


def _until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError("a review did not start; see the embedded AWS's log")
        time.sleep(0.2)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0; 1 when a picture is larger than docs should hold."""
    parser = argparse.ArgumentParser(prog="python -m local.demo.pictures", description="Take the pictures of the hosted review page.")
    parser.add_argument("--output", type=Path, default=IMAGES, help="folder (default: docs/images)")
    parser.add_argument("--all", action="store_true", help="also dark, forced colours, 200 %% zoom and a phone on its side")
    chosen = parser.parse_args(arguments)
    launcher.leave_real_accounts()
    chosen.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, deployed(Path(folder)) as page:
        page.ask()
        people_answer(page)
        take(page, (*DOCS, *(LOOKS if chosen.all else ())), chosen.output)
    large = [one.name for one in DOCS if (chosen.output / f"{one.name}.png").stat().st_size > MOST_BYTES]
    for name in large:
        sys.stderr.write(f"{name}.png has more than {MOST_BYTES} bytes\n")
    return 1 if large else 0


if __name__ == "__main__":
    sys.exit(main())
