"""150 labels with names of 60 characters, from the task to the label, and through the gates: every limit on the way holds."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from review_fakes import PREDICTION_ID, DeadLetters, FakeStore, prediction
from service_models import problems

sys.path.append(str(Path(__file__).resolve().parents[2] / "review_page"))
sys.path.append(str(Path(__file__).resolve().parents[1] / "tuning"))

from test_check_gates import POLICY, recall, report
from test_worker_templates import rendered

from contracts.labels import label_ids
from lambdas.common.consolidation import Plurality
from lambdas.common.labels import Labels
from lambdas.labeling.consolidate_annotations.annotations import consolidate_objects
from lambdas.labeling.pre_annotation.task import worker_task
from lambdas.review.a2i import A2iStarter
from lambdas.review.collect_review.collect import Outcome, Ports, collect
from lambdas.review.output import answers
from lambdas.review.port import ReviewEnded, ReviewStatus
from lambdas.tuning.check_gates.gates import check_gates, notes, refusals
from lambdas.tuning.evaluation import Evaluation
from review_page.questions import check_answer, questions

NAMES = [f"\u0423\u0441\u043b\u0443\u0433\u0430 {number}/{number * 7}: {'x' * 60}"[:60] for number in range(150)]
IDS = {label: name for name, label in label_ids(NAMES).items()}
LABELS = Labels.of(tuple(IDS), IDS)
TEMPLATE = (Path(__file__).resolve().parents[4] / "stacks" / "constructs" / "worker_template.liquid").read_text(encoding="utf-8")
FLOW = "arn:aws:sagemaker:us-east-1:123456789012:flow-definition/reviewloop-dev-review-0123456789ab"
PAYLOAD_BYTES = 262_144
"""Of a state machine, and of a message of SQS."""


def test_a_review_ends_with_the_id_of_the_name_that_people_chose() -> None:
    asked: dict[str, Any] = {}
    runtime = SimpleNamespace(start_human_loop=lambda **request: asked.update(request))
    A2iStarter(runtime, FLOW, LABELS).start(replace(prediction().review_request(), text="\u0449" * 90_000))
    assert problems("sagemaker-a2i-runtime", "StartHumanLoop", asked) == []
    task = json.loads(asked["HumanLoopInput"]["InputContent"])

    [question] = questions(rendered(TEMPLATE, **task)).classifiers
    assert question.categories == tuple(NAMES)
    given = [{"category": {"label": name}} for name in (NAMES[149], NAMES[149], NAMES[3])]
    human = [{"workerId": f"w{n}", "answerContent": check_answer([question], one)} for n, one in enumerate(given)]
    ended = ReviewEnded(
        f"{PREDICTION_ID}-1", ReviewStatus.COMPLETED, "2026-11-23T11:59:59Z", answers({"inputContent": task, "humanAnswers": human})
    )
    message = ended.to_json()
    assert len(message.encode()) < PAYLOAD_BYTES

    store, lines = FakeStore.holding(prediction(), review_state="in_review"), dict[str, bytes]()
    ports = Ports(store, lambda _: Plurality(LABELS.ids), lines.__setitem__, DeadLetters())
    assert collect(ReviewEnded.from_json(message), ports, now="2026-11-23T12:00:00+00:00").outcome is Outcome.STORED
    stored = store.items[PREDICTION_ID]
    assert (stored["human_label"], stored["votes"]) == (LABELS.ids[149], {LABELS.ids[3]: 1, LABELS.ids[149]: 2})
    [line] = lines.values()
    assert json.loads(line)["groundTruthData"]["data"] == LABELS.ids[149]


def test_a_bulk_job_ends_with_ids_and_an_answer_that_is_no_label_lists_ten() -> None:
    [question] = questions(rendered(TEMPLATE, **worker_task({"dataObject": {"source": "a text"}}, LABELS)["taskInput"])).classifiers
    content = [json.dumps({"category": {"label": label}}) for label in (question.categories[77], "gone")]
    payload = [
        {"datasetObjectId": str(n), "annotations": [{"workerId": "w", "annotationData": {"content": one}}]} for n, one in enumerate(content)
    ]
    known, gone = (
        one["consolidatedAnnotation"]["content"]["label"] for one in consolidate_objects(payload, "label", LABELS, Plurality(LABELS.ids))
    )
    assert (known["label"], known["votes"]) == (LABELS.ids[77], {LABELS.ids[77]: 1})
    assert gone["reason"].endswith(f"{LABELS.ids[9]} and 140 more")


def test_the_gates_of_150_classes_fit_into_the_payload_and_name_what_people_see() -> None:
    raw = report(by_class={label: recall(0.0, 200) for label in LABELS.ids}, label_names=IDS)
    gates = check_gates(Evaluation.parse(raw), POLICY)
    told = refusals(gates)
    assert len(json.dumps({"refusals": told, "notes": notes(gates)})) < PAYLOAD_BYTES / 8
    assert NAMES[0] in told[0]
    assert told[-1].endswith("more gates refused it, which gates.json names")
    passing = report(by_class={label: recall(0.7, 200) for label in LABELS.ids}, label_names=IDS)
    assert [gate.gate for gate in check_gates(Evaluation.parse(passing), POLICY) if not gate.passed] == []
