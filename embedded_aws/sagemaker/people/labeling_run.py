"""One labelling job at work: manifest -> pre-annotation -> workers -> consolidation -> output manifest.

Everything is read, written and invoked under the job's role. Source: SageMaker developer guide, "Custom labeling
workflows" and "Output Data" (folders ``annotations/worker-response``, ``annotations/consolidation-request`` and
``manifests/output``).
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from typing import Any

from embedded_aws.core import clock
from embedded_aws.core.api import ApiError
from embedded_aws.sagemaker.jobs.job import Job
from embedded_aws.sagemaker.jobs.job_files import JobFailed
from embedded_aws.sagemaker.people import labeling_documents as documents
from embedded_aws.sagemaker.people import template_scripts
from embedded_aws.sagemaker.people.human_task_ui import read_access, template_of
from embedded_aws.sagemaker.people.labeling_documents import DocumentError
from embedded_aws.sagemaker.people.task_queue import QUEUE, Ending, Task
from embedded_aws.sagemaker.service_output import OutputRefused, RoleOutput
from review_page.answers import Answer
from review_page.fields import TemplateError
from review_page.questions import questions
from review_page.templates import render

DEFAULT_LIFETIME_SECONDS = 864_000
DEFAULT_CONCURRENT_TASKS = 1_000
CONSOLIDATION_BATCH = 100
INITIALIZING_SECONDS = 5
_POLL_SECONDS = 0.1


def counters(total: int, *, labeled: int, failed: int) -> dict[str, int]:
    """LabelCounters of DescribeLabelingJob."""
    return {
        "TotalLabeled": labeled,
        "HumanLabeled": labeled,
        "MachineLabeled": 0,
        "FailedNonRetryableError": failed,
        "Unlabeled": max(total - labeled - failed, 0),
    }


class _EmulatorReset(Exception):
    """The emulator was emptied: there is no job any more."""


class LabelingRun:
    """The run of one job, in a thread of its own."""

    def __init__(self, job: Job, output: RoleOutput) -> None:
        self._job, self._record, self._output = job, job.record, output
        self._task = self._record["HumanTaskConfig"]
        self._attribute: str = self._record["LabelAttributeName"]
        self._root = f"{self._record['OutputConfig']['S3OutputPath'].rstrip('/')}/{job.name}"
        self._objects: list[dict[str, Any]] = []
        self._categories: list[str] = []
        self._open: dict[int, Task] = {}
        self._answers: dict[int, list[Answer]] = {}
        self._failures: dict[int, str] = {}
        self._lines: dict[int, dict[str, Any]] = {}
        self._changed = threading.Condition()
        self._generation = QUEUE.generation

    def run(self) -> None:
        """Work until a final status.

        Raises:
            JobFailed: the job's inputs, role or functions fail; the text is the reason.
        """
        try:
            clock.sleep(INITIALIZING_SECONDS)
            template = self._read_inputs()
            self._job.change("InProgress")
            self._ask_people(template)
            self._consolidate()
            self._job.change(self._write_manifest())
        except (OutputRefused, DocumentError, TemplateError, ApiError) as error:
            self._withdraw()
            raise JobFailed(f"ClientError: {error.message if isinstance(error, ApiError) else error}") from None
        except _EmulatorReset:
            return
        except Exception:
            self._withdraw()
            raise

    # -- inputs ----------------------------------------------------------------------------------------

    def _read_inputs(self) -> str:
        self._objects = documents.read_manifest(
            self._output.read(self._record["InputConfig"]["DataSource"]["S3DataSource"]["ManifestS3Uri"])
        )
        if "LabelCategoryConfigS3Uri" in self._record:
            self._categories = documents.read_categories(self._output.read(self._record["LabelCategoryConfigS3Uri"]))
        self._count()
        ui = self._task["UiConfig"]
        return self._output.read(ui["UiTemplateS3Uri"]) if "UiTemplateS3Uri" in ui else template_of(ui["HumanTaskUiArn"])

    def _allowed(self) -> int:
        """How many objects people may label, by the stopping conditions."""
        limits: dict[str, int] = self._record.get("StoppingConditions", {})
        allowed = len(self._objects)
        if "MaxPercentageOfInputDatasetLabeled" in limits:
            allowed = min(allowed, allowed * limits["MaxPercentageOfInputDatasetLabeled"] // 100)
        return min(allowed, limits.get("MaxHumanLabeledObjectCount", allowed))

    # -- people ----------------------------------------------------------------------------------------

    def _ask_people(self, template: str) -> None:
        """Send objects while there is room, until every sent one is over; a stopped job withdraws what nobody holds."""
        room = self._task.get("MaxConcurrentTaskCount", DEFAULT_CONCURRENT_TASKS)
        unsent = list(range(self._allowed()))
        while unsent or self._open:
            if QUEUE.generation != self._generation:
                raise _EmulatorReset
            if self._job.is_stopping:
                unsent.clear()
                self._withdraw()
            while unsent and len(self._open) < room and not self._job.is_stopping:
                self._send(unsent.pop(0), template)
            with self._changed:
                if self._open:
                    self._changed.wait(_POLL_SECONDS)

    def _withdraw(self) -> None:
        for task in list(self._open.values()):
            QUEUE.stop(task)

    def _send(self, index: int, template: str) -> None:
        data = self._objects[index]
        try:
            request = documents.pre_annotation_request(self._job.arn, data)
            task_input = documents.read_pre_annotation(self._output.invoke(self._task["PreHumanTaskLambdaArn"], request))
        except (OutputRefused, DocumentError) as error:
            self._fail(index, str(error))
            return
        if task_input is None:
            return

        def page() -> str:
            return render(template, task_input, read_access(self._output.session))

        task = Task(
            source=self._job.arn,
            title=self._task["TaskTitle"],
            description=self._task["TaskDescription"],
            workteam_arn=self._task["WorkteamArn"],
            input=task_input,
            wanted=self._task["NumberOfHumanWorkersPerDataObject"],
            time_limit_seconds=self._task["TaskTimeLimitInSeconds"],
            lifetime_seconds=self._task.get("TaskAvailabilityLifetimeInSeconds", DEFAULT_LIFETIME_SECONDS),
            questions=questions(page()),
            render=page,
            scripts=template_scripts.sources(template),
            finished=lambda task, ending: self._over(index, task, ending),
        )
        with self._changed:
            self._open[index] = task
        QUEUE.add(task)

    def _over(self, index: int, task: Task, ending: Ending) -> None:
        """A task has ended: what answers there are go to consolidation, none at all is a failed object (or one left unlabelled)."""
        reason = f"The task expired without an answer from its {task.wanted} workers."
        try:
            if task.answers:
                uri = f"{self._root}/annotations/worker-response/iteration-1/{index}/{_stamp()}.json"
                self._output.write(uri, json.dumps(documents.worker_response(task.answers), ensure_ascii=False))
                self._answers[index] = task.answers
            elif ending is Ending.EXPIRED:
                self._fail(index, reason)
        except OutputRefused as refused:
            self._fail(index, str(refused))
        finally:
            with self._changed:
                del self._open[index]
                self._changed.notify_all()

    def _fail(self, index: int, reason: str) -> None:
        self._failures[index] = reason
        self._count()

    # -- results ---------------------------------------------------------------------------------------

    def _consolidate(self) -> None:
        answered = sorted(self._answers)
        for start in range(0, len(answered), CONSOLIDATION_BATCH):
            self._consolidate_batch(answered[start : start + CONSOLIDATION_BATCH])

    def _consolidate_batch(self, batch: list[int]) -> None:
        payload = documents.consolidation_payload({str(index): (self._objects[index], self._answers[index]) for index in batch})
        uri = f"{self._root}/annotations/consolidation-request/iteration-1/{_stamp()}.json"
        self._output.write(uri, json.dumps(payload, ensure_ascii=False))
        request = documents.consolidation_request(self._record, self._categories, uri)
        function = self._task["AnnotationConsolidationConfig"]["AnnotationConsolidationLambdaArn"]
        contents = documents.read_consolidation(self._output.invoke(function, request), self._attribute)
        for index in batch:
            content = contents.get(str(index))
            if content is None:
                self._fail(index, "The consolidation function returned nothing for this object.")
            else:
                created = dt.datetime.now(dt.UTC).replace(tzinfo=None).isoformat()
                self._lines[index] = documents.labeled_line(self._objects[index], content, self._attribute, self._job.name, created)
        self._count()

    def _write_manifest(self) -> str:
        """Write the output manifest; returns the job's final status."""
        created = dt.datetime.now(dt.UTC).replace(tzinfo=None).isoformat()
        for index, reason in self._failures.items():
            self._lines[index] = documents.failed_line(self._objects[index], reason, self._attribute, self._job.name, created)
        lines = [json.dumps(self._lines[index], ensure_ascii=False) for index in sorted(self._lines)]
        uri = f"{self._root}/manifests/output/output.manifest"
        self._output.write(uri, "".join(f"{line}\n" for line in lines))
        self._record["LabelingJobOutput"] = {"OutputDatasetS3Uri": uri}
        if self._failures and len(self._failures) == len(self._objects):
            raise DocumentError(f"no object could be labeled; the first failure: {next(iter(self._failures.values()))}")
        limited = self._allowed() < len(self._objects)
        return "Stopped" if self._job.is_stopping or limited else "Completed"

    # -- the record ------------------------------------------------------------------------------------

    def _count(self) -> None:
        self._record["LabelCounters"] = counters(len(self._objects), labeled=len(self._lines), failed=len(self._failures))


def _stamp() -> str:
    """``2026-11-23_20:41:07.123456`` made safe for a key."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%d_%H-%M-%S.%f")
