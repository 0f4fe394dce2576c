"""The inference handlers of the SageMaker Hugging Face container: load once, answer batches of texts as JSON."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from contracts.labels import name_of
from contracts.text import InvalidJson, checked_text, kind, parse_json
from model_code.archive import read_document, read_label_names
from model_code.base_model import load_tokenizer
from model_code.calibration import CONFIDENCE_DIGITS, softmax
from model_code.drift_baseline import WORDS, out_of_vocabulary
from model_code.network import TextClassifier, native_bf16, predict_logits
from model_code.tokens import HEAD, Tokens

MAX_TEXTS = 512
ANSWERED = ("application/json", "*/*")


@dataclass(frozen=True)
class LoadedModel:
    """A model with everything that an answer needs."""

    model: TextClassifier
    tokenizer: Any
    labels: list[str]
    label_names: dict[str, str]
    temperature: float
    review_threshold: float
    vocabulary: frozenset[str]
    oov_basis: str
    version: str
    max_length: int
    bf16: bool
    truncation: str = HEAD

    def predict(self, texts: list[str]) -> list[dict[str, Any]]:
        """One answer per text, in order; form in docs/contracts.md, "Containers"."""
        read = Tokens(self.tokenizer, texts, self.max_length, self.truncation)
        logits = predict_logits(self.model, read, bf16=self.bf16).numpy()
        answers = []
        shares = softmax(logits.astype(np.float64), self.temperature)
        for text, row, pieces, unread in zip(texts, shares, read.pieces.tolist(), read.unread.tolist(), strict=True):
            best = int(row.argmax())
            tokens, unknown = out_of_vocabulary(text, self.vocabulary, self.oov_basis)
            answers.append(
                {
                    "label": self.labels[best],
                    "label_name": name_of(self.labels[best], self.label_names),
                    "confidence": round(float(row[best]), CONFIDENCE_DIGITS),
                    "probabilities": {label: round(float(value), CONFIDENCE_DIGITS) for label, value in zip(self.labels, row, strict=True)},
                    "model_version": self.version,
                    "review_threshold": self.review_threshold,
                    "tokens": tokens,
                    "oov_tokens": unknown,
                    "truncated": unread > 0,
                    "pieces": pieces,
                    "unread_pieces": unread,
                }
            )
        return answers


def model_fn(model_dir: str, context: Any = None) -> LoadedModel:  # noqa: ARG001  (the toolkit's signature)
    """Load the artifact that ``train.py`` wrote."""
    folder = Path(model_dir)

    def document(name: str) -> Any:
        return read_document(folder, name)

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    model = TextClassifier.load(folder).eval()
    if torch.cuda.is_available():
        model.to("cuda")
    calibration, version = document("calibration"), document("model_version")
    return LoadedModel(
        model=model,
        tokenizer=load_tokenizer(folder),
        labels=list(document("label_map")),
        label_names=read_label_names(folder),
        temperature=calibration["temperature"],
        review_threshold=calibration["review_threshold"],
        vocabulary=frozenset(document("vocabulary")),
        oov_basis=version.get("oov_basis", WORDS),
        version=version["model_version"],
        max_length=version["max_length"],
        bf16=native_bf16(),
        truncation=version.get("truncation", HEAD),
    )


def input_fn(data: str | bytes | bytearray, content_type: str | None) -> list[str]:
    """``{"inputs": "text"}`` or ``{"inputs": ["a", "b"]}`` -> texts, in Unicode's normal form C as the model learnt them.

    Args:
        data: text where the content type is ``application/json``. With ``; charset=utf-8`` behind it, the toolkit decodes nothing, and this
            is the model server's ``bytearray``. Source: aws/sagemaker-huggingface-inference-toolkit, ``handler_service.py`` (``handle``).
        content_type: None where the request has none.

    Raises:
        ValueError: another content type or form, or a text that may not enter; it names the field and what is allowed.
    """
    if (content_type or "").split(";", maxsplit=1)[0].strip().lower() != "application/json":
        raise ValueError(f"content type {content_type!r}: allowed is application/json")
    try:
        body = parse_json(data if isinstance(data, str) else bytes(data))
    except InvalidJson as error:
        raise ValueError(f"the body {error}") from None
    if not isinstance(body, dict) or "inputs" not in body:
        raise ValueError("the body must be an object with the field 'inputs', a text or a list of texts")
    inputs = body["inputs"]
    if isinstance(inputs, str):
        return [checked_text("inputs", inputs)]
    if not isinstance(inputs, list) or not inputs:
        raise ValueError(f"field 'inputs' is {'an empty list' if inputs == [] else kind(inputs)}: allowed is a text or a list of texts")
    if len(inputs) > MAX_TEXTS:
        raise ValueError(f"field 'inputs' has {len(inputs)} texts: allowed are {MAX_TEXTS} a call")
    return [checked_text(f"inputs.{number}", text) for number, text in enumerate(inputs)]


def predict_fn(data: list[str], model: LoadedModel) -> list[dict[str, Any]]:
    return model.predict(data)


def output_fn(prediction: list[dict[str, Any]], accept: str) -> str:
    """The answer as JSON. The toolkit names ``accept`` as its content type, whatever it holds, and makes an error HTTP 400.

    Raises:
        ValueError: ``accept`` is another type. Capture keeps those as base64, which no drift check reads.
    """
    if (accept or "*/*").strip().lower() not in ANSWERED:
        raise ValueError(f"accept {accept!r}: allowed are {' and '.join(ANSWERED)}, since an answer is JSON")
    return json.dumps(prediction, ensure_ascii=False, allow_nan=False)
