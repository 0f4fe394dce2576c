"""What a labelling job sends and stores: requests to its functions, payload files, worker responses, the output manifest.

Source: SageMaker developer guide, "Using pre-annotation and post-annotation Lambda functions" and "Output Data".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from review_page.answers import Answer, answer_document

VERSION = "2018-10-16"


class DocumentError(ValueError):
    """A manifest, a category file or a function's answer has not the documented form; the text says where."""


def read_manifest(text: str) -> list[dict[str, Any]]:
    """The data objects of a manifest of JSON lines, each with ``source`` or ``source-ref``.

    Raises:
        DocumentError: names the line.
    """
    objects: list[dict[str, Any]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise DocumentError(f"line {number} of the manifest is not JSON: {error}") from None
        if not isinstance(value, dict) or not ("source" in value) ^ ("source-ref" in value):
            raise DocumentError(f"line {number} of the manifest needs exactly one of source and source-ref")
        objects.append(value)
    if not objects:
        raise DocumentError("the manifest holds no data object")
    return objects


def read_categories(text: str) -> list[str]:
    """The labels of a label category file. Raises DocumentError."""
    try:
        return [str(entry["label"]) for entry in json.loads(text)["labels"]]
    except (ValueError, KeyError, TypeError):
        raise DocumentError('the label category file must be {"document-version": "2018-11-28", "labels": [{"label": "..."}]}') from None


def pre_annotation_request(job_arn: str, data_object: Mapping[str, Any]) -> dict[str, Any]:
    return {"version": VERSION, "labelingJobArn": job_arn, "dataObject": dict(data_object)}


def read_pre_annotation(answer: Any) -> dict[str, Any] | None:
    """``taskInput``, or None when no person is to see the object. Raises DocumentError."""
    if not isinstance(answer, dict) or not isinstance(answer.get("taskInput"), dict):
        raise DocumentError(f"the pre-annotation function must return an object with taskInput, not {json.dumps(answer)[:200]}")
    required = answer.get("isHumanAnnotationRequired", True)
    return None if str(required).lower() == "false" else answer["taskInput"]


def consolidation_payload(objects: Mapping[str, tuple[Mapping[str, Any], Sequence[Answer]]]) -> list[dict[str, Any]]:
    """The payload file: object id -> (data object, its answers)."""
    return [
        {
            "datasetObjectId": object_id,
            "dataObject": {"content": data["source"]} if "source" in data else {"s3Uri": data["source-ref"]},
            "annotations": [
                {"workerId": answer.worker.worker_id, "annotationData": {"content": json.dumps(dict(answer.content), ensure_ascii=False)}}
                for answer in answers
            ],
        }
        for object_id, (data, answers) in objects.items()
    ]


def consolidation_request(job: Mapping[str, Any], categories: Sequence[str], payload_uri: str) -> dict[str, Any]:
    return {
        "version": VERSION,
        "labelingJobArn": job["LabelingJobArn"],
        "labelCategories": list(categories),
        "labelAttributeName": job["LabelAttributeName"],
        "roleArn": job["RoleArn"],
        "payload": {"s3Uri": payload_uri},
    }


def read_consolidation(answer: Any, attribute: str) -> dict[str, dict[str, Any]]:
    """Object id -> content for the output manifest. Raises DocumentError."""
    if not isinstance(answer, list):
        raise DocumentError(f"the consolidation function must return a list, not {json.dumps(answer)[:200]}")
    result: dict[str, dict[str, Any]] = {}
    for entry in answer:
        try:
            content = entry["consolidatedAnnotation"]["content"]
            object_id = str(entry["datasetObjectId"])
        except (KeyError, TypeError):
            raise DocumentError(f"the consolidation function returned an entry of another form: {json.dumps(entry)[:200]}") from None
        if not isinstance(content, dict) or attribute not in content:
            raise DocumentError(f"the consolidated annotation of object {object_id} has no attribute {attribute}")
        result[object_id] = content
    return result


def worker_response(answers: Sequence[Answer]) -> dict[str, Any]:
    """One object's file under ``annotations/worker-response``."""
    return {"answers": [answer_document(answer) for answer in answers]}


def labeled_line(data: Mapping[str, Any], content: Mapping[str, Any], attribute: str, job_name: str, created: str) -> dict[str, Any]:
    """One line of the output manifest; ``<attribute>-metadata`` is Ground Truth's, plus what the function gave under that name."""
    metadata = {"type": "groundtruth/custom", "job-name": job_name, "human-annotated": "yes", "creation-date": created}
    given = content.get(f"{attribute}-metadata")
    return {**data, **content, f"{attribute}-metadata": {**(given if isinstance(given, dict) else {}), **metadata}}


def failed_line(data: Mapping[str, Any], reason: str, attribute: str, job_name: str, created: str) -> dict[str, Any]:
    """The line of an object that nobody could label."""
    metadata = {"type": "groundtruth/custom", "job-name": job_name, "human-annotated": "yes", "creation-date": created}
    return {**data, f"{attribute}-metadata": {**metadata, "failure-reason": reason}}
