"""What the inference container answers with, and what it refuses to answer as."""

from __future__ import annotations

import json

import pytest

ANSWER = [{"label": "positive", "confidence": 0.9}]


@pytest.mark.parametrize("accept", ["application/json", "*/*", "", "Application/JSON "])
def test_json_is_the_answer(accept: str) -> None:
    from model_code.inference import output_fn

    assert json.loads(output_fn(ANSWER, accept)) == ANSWER


@pytest.mark.parametrize(
    "accept", ["text/csv", "text/plain", "application/x-npy", "application/json, text/csv", "application/jsonlines", "image/png"]
)
def test_another_form_is_refused_by_name_since_capture_would_keep_it_as_base64(accept: str) -> None:
    from model_code.inference import output_fn

    with pytest.raises(ValueError, match=r"^accept .*: allowed are application/json and ") as refused:
        output_fn(ANSWER, accept)
    assert accept in str(refused.value)
