"""The VADER ICWSM-2014 corpus as dataset rows: four domains, each text with about twenty human ratings in -4..4.

Source: Hutto and Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text",
ICWSM 2014 (MIT licence). The files are CRLF, the ratings have a byte-order mark, and the published mean is wrong for
some tweets, so labels rest on the raw votes.
"""

from __future__ import annotations

import json
import random
import re
import tarfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from contracts.dataset import Row
from contracts.text import normal_text

LABELS = ("negative", "neutral", "positive")
DOMAINS = {"amazon": "amazonReviewSnippets", "movie": "movieReviewSnippets", "nyt": "nytEditorialSnippets", "tweets": "tweets"}
SOURCE = "vader-icwsm-2014"
RATER_COLUMNS = 18
"""Columns 18 and 19 look imputed (they agree with the rest far more than any person), so replayed votes come from 0-17."""


@dataclass(frozen=True)
class RatedText:
    """A row with the recorded votes of single raters, in column order, as labels."""

    row: Row
    raters: tuple[str, ...]


def vote(rating: float) -> str:
    """The sign of a rating as a label."""
    return LABELS[1 + (rating > 0) - (rating < 0)]


def plurality(ratings: Sequence[float]) -> str:
    """Plurality of the rating signs; a tie goes to the sign of the mean if that is among the tied, else to neutral."""
    counts = Counter(vote(rating) for rating in ratings)
    most = max(counts.values())
    tied = {label for label, count in counts.items() if count == most}
    if len(tied) == 1:
        return tied.pop()
    by_mean = vote(sum(ratings))
    return by_mean if by_mean in tied else LABELS[1]


def read_domain(archive: Path, domain: str) -> list[RatedText]:
    """All usable texts of one domain, in file order: punctuation-only ones and repeated texts are left out.

    Args:
        archive: ``hutto_ICWSM_2014.tar.gz``.
        domain: one of :data:`DOMAINS`.
    """
    with tarfile.open(archive) as tar:
        texts = _lines(tar, f"{DOMAINS[domain]}_GroundTruth.txt")
        ratings = _lines(tar, f"{DOMAINS[domain]}_anonDataRatings.txt")
    votes = {fields[0].strip(): json.loads(fields[3]) for fields in (line.split("\t") for line in ratings)}
    seen: set[str] = set()
    rated: list[RatedText] = []
    for line in texts:
        raw_id, _, text = (part.strip() for part in line.split("\t", 2))
        normal = normal_text(text)
        if len(re.sub(r"\W", "", text)) < 2 or normal in seen:
            continue
        seen.add(normal)
        numbers = votes[raw_id]
        signs = [vote(number) for number in numbers]
        row = Row(
            id=f"{domain}:{raw_id}",
            text=text,
            label=plurality(numbers),
            votes={label: signs.count(label) for label in LABELS},
            group=f"{domain}:{raw_id.split('_')[0]}",
            slice=domain,
            source=SOURCE,
        )
        rated.append(RatedText(row, tuple(signs[:RATER_COLUMNS])))
    return rated


def _lines(tar: tarfile.TarFile, name: str) -> list[str]:
    member = next(item for item in tar.getmembers() if item.name.endswith("/" + name))
    stream = tar.extractfile(member)
    if stream is None:
        raise FileNotFoundError(f"{name} is not a file in the archive")
    data = stream.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252")
    return [line for line in text.replace("\r\n", "\n").split("\n") if line.strip()]


def shuffle_labels(rows: Sequence[Row], *, seed: int) -> list[Row]:
    """The same texts with the labels and votes of other rows: a dataset nothing can be learnt from."""
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)  # noqa: S311  (a reproducible shuffle, not a secret)
    return [replace(row, label=rows[other].label, votes=rows[other].votes) for row, other in zip(rows, order, strict=True)]
