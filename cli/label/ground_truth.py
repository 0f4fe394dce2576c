"""Labelling by Ground Truth: executions of the state machine ``labeling``, each over the texts that have no label yet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cli.account import Account
from cli.execution_history import message_of
from cli.label.job import Standing, has_failed, source_fields
from cli.label.texts import Wanted
from contracts.groups import text_digest
from contracts.text import json_lines, parse_json
from lambdas.common.s3_uri import newline_ended

_MOST_ATTEMPTS = 50
_CHUNK = 1 << 16


@dataclass
class GroundTruthJob:
    """One execution after the other, ``<name>-1``, ``<name>-2``, ...: each asks about the texts that those before it did not label.

    Args:
        name: of the job.
    """

    account: Account
    name: str
    wanted: Sequence[Wanted]
    _running: str | None = None
    _failed: str | None = None
    """The newest execution, if it has ended and not well."""
    _lines: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def ask(self, progress: Callable[[int], None]) -> int:
        for attempt in range(1, _MOST_ATTEMPTS + 1):
            execution = f"{self.name}-{attempt}"
            status = self._status(execution)
            if status == "RUNNING":
                self._running = execution
                break
            if status is not None:
                self._lines |= self._output(execution)
                self._failed = None if status == "SUCCEEDED" else execution
                continue
            # Step Functions drops an execution 90 days after its end; its output stays, and the name of its job is taken for ever.
            output = self._output(execution)
            self._lines |= output
            left = self._left()
            if left and (output or self._job(execution) is not None):
                continue
            if left:
                self._start(execution, left)
                progress(len(self.wanted))
                return len(left)
            break
        progress(len(self.wanted))
        return 0

    def look(self) -> Standing:
        execution = self._running
        if execution is not None:
            status = self._status(execution)
            if status == "RUNNING":
                own = self._own()
                return Standing(own, min(len(self.wanted), len(own) + self._labelled_by(execution)), None, running=True)
            self._running = None
            self._lines |= self._output(execution)
            self._failed = None if status == "SUCCEEDED" else execution
        own = self._own()
        return Standing(own, len(own), None, problem=None if self._failed is None else self._problem(self._failed))

    def _labelled_by(self, execution: str) -> int:
        """Texts that Ground Truth counts as done in the running job; it tells single labels only at the end."""
        found = self._job(execution)
        if found is None:
            return 0
        counters: dict[str, int] = found["LabelCounters"]
        return counters.get("TotalLabeled", 0) + counters.get("FailedNonRetryableError", 0)

    def _job(self, execution: str) -> dict[str, Any] | None:
        sagemaker = self.account.client("sagemaker")
        try:
            found: dict[str, Any] = sagemaker.describe_labeling_job(LabelingJobName=f"{self.account.names.prefix}-{execution}")
        except sagemaker.exceptions.ResourceNotFound:
            return None
        return found

    def _own(self) -> dict[str, Mapping[str, Any]]:
        keys = {one.key for one in self.wanted}
        return {key: line for key, line in self._lines.items() if key in keys}

    def _start(self, execution: str, texts: Iterable[Wanted]) -> None:
        key = f"manifests/{execution}.jsonl"
        body = "".join(json.dumps(source_fields(one.text, one.subject), ensure_ascii=False, allow_nan=False) + "\n" for one in texts)
        bucket = self.account.names.bucket("data")
        self.account.client("s3").put_object(Bucket=bucket, Key=key, Body=body.encode(), ContentType="application/jsonlines")
        machine = self.account.names.arn("states", f"stateMachine:{self.account.names.state_machine('labeling')}")
        given = {"name": execution, "manifest_uri": f"s3://{bucket}/{key}"}
        self.account.client("stepfunctions").start_execution(stateMachineArn=machine, name=execution, input=json.dumps(given))
        self._running = execution

    def _described(self, execution: str) -> dict[str, Any] | None:
        steps = self.account.client("stepfunctions")
        arn = self.account.names.arn("states", f"execution:{self.account.names.state_machine('labeling')}:{execution}")
        try:
            found: dict[str, Any] = steps.describe_execution(executionArn=arn)
        except steps.exceptions.ExecutionDoesNotExist:
            return None
        return found

    def _status(self, execution: str) -> str | None:
        found = self._described(execution)
        return None if found is None else str(found["status"])

    def _problem(self, execution: str) -> str:
        found = self._described(execution) or {}
        why = message_of(str(found.get("cause") or ""))
        told = f"the execution {execution} of the state machine labeling ended {found.get('status', 'unseen')}: {why}. "
        if self._left():
            return f"{told}Remove the cause, then run the same command again: it asks about the rest"
        return f"{told}People have answered, but their labels may not be stored: remove the cause, then run `label redrive {execution}`"

    def _left(self) -> list[Wanted]:
        """Texts that nobody has answered yet."""
        return [one for one in self.wanted if one.key not in self._lines or has_failed(self._lines[one.key])]

    def _output(self, execution: str) -> dict[str, Mapping[str, Any]]:
        """Lines of an ended job by the key of their text; none where it left no output."""
        names, s3 = self.account.names, self.account.client("s3")
        key = output_key(names.prefix, execution)
        try:
            body = s3.get_object(Bucket=names.bucket("review"), Key=key)["Body"]
        except s3.exceptions.NoSuchKey:
            return {}
        lines = (parse_json(line) for _, line in json_lines(newline_ended(body.iter_chunks(_CHUNK))))
        return {text_digest(line["source"]): line for line in lines}


def output_key(prefix: str, name: str) -> str:
    """Where a job leaves its output manifest in the review bucket (SageMaker developer guide, "Output Data")."""
    return f"labeling/{prefix}-{name}/manifests/output/output.manifest"
