"""Callers of the prediction API, and people who answer reviews, while a dry run compares two models. Both are simulated.

Every text names its label. People give this label; a model gives it or another one.
"""

from __future__ import annotations

import itertools
import json
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from contracts.dataset import Manifest
from embedded_aws.tools.clients import ROOT
from local.pipeline.packages import LABELS
from stacks.names import Names

TEXTS = {f"a {label} text, number {number}": label for number, label in zip(range(300), itertools.cycle(LABELS), strict=False)}
"""Text -> the label that it names."""
_CALLERS = 2
_PAUSE_SECONDS = 0.5
"""The judge reads pairs by ten seconds, once people have answered all of them: 40 at most."""


def people_answer(client: Callable[[str], Any], url: str, names: Names) -> None:
    """From now on people answer every review of these texts. The account gets a dataset without rows, which names their choices.

    Args:
        url: of the embedded AWS.
    """
    bucket, folder = names.bucket("data"), "datasets/dry-run"
    manifest = Manifest("0" * 16, None, LABELS, {}, {}, {}, {"train/data.jsonl": "0" * 64}, label_names={})
    client("s3").put_object(Bucket=bucket, Key=f"{folder}/manifest.json", Body=manifest.to_json().encode())
    client("ssm").put_parameter(Name=names.parameter("dataset"), Value=f"s3://{bucket}/{folder}", Type="String", Overwrite=True)
    votes = {text: [label] * names.settings.review.workers_per_task for text, label in TEXTS.items()}
    urllib.request.urlopen(f"{url}/_embedded/raters", json.dumps({"votes": votes}).encode(), timeout=30).close()  # noqa: S310  (127.0.0.1)


@dataclass
class Callers:
    """``answered``: variant -> calls that it answered; ``failed``: calls that were not answered."""

    url: str
    region: str
    answered: Counter[str] = field(default_factory=Counter)
    failed: int = 0

    @contextmanager
    def calling(self) -> Iterator[None]:
        """A few callers call all the time, until the block ends."""
        over, texts, lock = threading.Event(), itertools.cycle(TEXTS), threading.Lock()

        def call() -> None:
            while not over.wait(_PAUSE_SECONDS):
                with lock:
                    text = next(texts)
                answer = self._predict(text)
                with lock:
                    if answer is None:
                        self.failed += 1
                    else:
                        self.answered[answer["variant"]] += 1

        threads = [threading.Thread(target=call, daemon=True) for _ in range(_CALLERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join(timeout=60)

    def _predict(self, text: str) -> Mapping[str, Any] | None:
        """The answer of ``POST /predict``, signed by root; None when there was none."""
        body = json.dumps({"text": text}).encode()
        request = AWSRequest("POST", self.url, data=body, headers={"Content-Type": "application/json"})
        SigV4Auth(ROOT, "execute-api", self.region).add_auth(request)
        call = urllib.request.Request(self.url, data=body, headers=dict(request.headers), method="POST")  # noqa: S310  (http on 127.0.0.1)
        try:
            with urllib.request.urlopen(call, timeout=60) as response:  # noqa: S310  (the emulator on 127.0.0.1)
                answer: dict[str, Any] = json.loads(response.read())
                return answer
        except (urllib.error.URLError, OSError):
            return None


def predict_url(client: Callable[[str], Any], url: str, names: Names) -> str:
    """Where the deployed API answers on this machine: the embedded AWS (``url``) serves every API below one path."""
    (stack,) = client("cloudformation").describe_stacks(StackName=names.stack("endpoint"))["Stacks"]
    address = urlsplit({one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}["PredictUrl"])
    return f"{url}/_aws/execute-api/{address.netloc.partition('.')[0]}{address.path}"
