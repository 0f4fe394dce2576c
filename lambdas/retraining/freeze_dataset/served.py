"""The newest served texts, from the endpoint's captured data: the kind of texts that the next champion will get.

They are read from the place where the drift check reads, too. So a baseline is made of the same kind of data as the windows that are
compared with it. The prediction table has no index by time: such an index would put every prediction of a day into one partition, and its
throttling would delay the callers' answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from contracts.shared_words import PAIR_CALL, VARIANTS
from contracts.text import InvalidText, checked_text, parse_json
from lambdas.common.s3_uri import read_lines


@dataclass(frozen=True, order=True)
class CapturedText:
    """One text as it was sent. ``at`` is ISO 8601 UTC."""

    at: str
    prediction_id: str
    text: str


def captured_texts(line: str | bytes) -> Iterator[CapturedText]:
    """The texts of one line of captured data; none when it was cut or is no request in the prediction API's form."""
    try:
        raw = parse_json(line)
        about, sent = raw["eventMetadata"], parse_json(raw["captureData"]["endpointInput"]["data"])["inputs"]
        at, prediction_id = str(about["inferenceTime"]), str(about["inferenceId"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return
    for text in sent if isinstance(sent, list) else [sent]:
        with suppress(InvalidText):
            yield CapturedText(at, prediction_id, checked_text("inputs", text))


class CapturedData:
    """Captured requests of one endpoint.

    Args:
        s3: client.
        bucket: the capture bucket, with ``capture/<endpoint>/<variant>/yyyy/mm/dd/hh/*.jsonl``.

    Attributes:
        left_out: lines without a text that were met so far.
    """

    def __init__(self, s3: Any, bucket: str, endpoint: str) -> None:
        self._s3, self._bucket, self._endpoint = s3, bucket, endpoint
        self.left_out = 0

    def newest(self, most: int, *, now: datetime, hours: int) -> list[CapturedText]:
        """The newest texts, at most ``most``, oldest first, of both variants; one that was captured twice is there once.

        A call that only compared two models is no traffic.

        Args:
            now: UTC; bounds the hours that are looked at.
            hours: how many of them before this one.
        """
        found: dict[tuple[str, str], CapturedText] = {}
        for back in range(hours + 1):
            for key in self._newest_keys(now - timedelta(hours=back)):
                found |= {(one.prediction_id, one.text): one for one in self._texts(key, most)}
                if len(found) >= most:
                    return sorted(found.values())[-most:]
        return sorted(found.values())

    def _newest_keys(self, hour: datetime) -> list[str]:
        """An object's name begins with the minute and second of its first line."""
        pages = self._s3.get_paginator("list_objects_v2")
        keys = [
            item["Key"]
            for variant in VARIANTS
            for page in pages.paginate(Bucket=self._bucket, Prefix=f"capture/{self._endpoint}/{variant}/{hour:%Y/%m/%d/%H}/")
            for item in page.get("Contents", ())
        ]
        return sorted(keys, key=lambda key: key.rpartition("/")[2], reverse=True)

    def _texts(self, key: str, most: int) -> deque[CapturedText]:
        """The last texts of one object; no more of it is ever in memory."""
        newest: deque[CapturedText] = deque(maxlen=most)
        for line in read_lines(self._s3, f"s3://{self._bucket}/{key}"):
            texts = list(captured_texts(line))
            self.left_out += not texts and bool(line.strip())
            newest.extend(one for one in texts if not one.prediction_id.startswith(PAIR_CALL))
        return newest
