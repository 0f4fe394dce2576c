"""What columns of labelled texts are usually called."""

from __future__ import annotations

import re
import unicodedata

TEXT = (
    "text", "texts", "review", "review_text", "reviewtext", "review_body", "sentence", "comment", "comment_text", "message", "tweet",
    "utterance", "content", "body", "document", "article", "query", "question", "post", "sms", "statement", "feedback", "narrative",
    "transcript", "complaint", "ticket", "email", "description", "summary", "abstract", "headline", "title", "subject", "input",
)  # fmt: skip
LABEL = (
    "label", "labels", "class", "category", "sentiment", "intent", "target", "topic", "emotion", "polarity", "stars", "star_rating",
    "rating", "score", "newsgroup", "label_text", "label_name", "class_name", "category_name", "class_index", "tag", "type", "output", "y",
)  # fmt: skip
GROUP, SLICE = ("group", "group_id"), ("slice",)
SPLIT = ("split", "set", "subset", "partition")
TIME = ("time", "timestamp", "date", "datetime", "created_at", "created", "published_at", "published", "date_time", "review_date")
VOTES = ("votes",)
VOTES_PREFIX = "votes_"
ALIASES = frozenset((*TEXT, *LABEL, *GROUP, *SLICE, *SPLIT, *TIME, *VOTES))
TRAIN, VALIDATION, TEST = ("train", "training", "trn"), ("validation", "valid", "val", "dev", "development"), ("test", "testing", "tst")
SPLIT_WORDS = {
    word: split for split, words in (("train", TRAIN), ("validation", VALIDATION), ("test", TEST)) for word in words
}  # fmt: skip
"""What people write of a split -> the split."""


def key_of(name: str) -> str:
    """A column's name without case, accents of spelling and separators: ``Review Text`` and ``review_text`` are one."""
    return re.sub(r"[\W_]+", "_", unicodedata.normalize("NFKC", name).casefold()).strip("_")
