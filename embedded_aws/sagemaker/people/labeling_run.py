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

from embedded_aws.core import background, clock
from embedded_aws.core.api import ApiError, Request
from embedded_aws.eventbridge import service_events
from embedded_aws.sagemaker.people import labeling_documents as documents
from embedded_aws.sagemaker.people.human_task_ui import read_access, template_of
from embedded_aws.sagemaker.people.labeling_documents import DocumentError
from embedded_aws.sagemaker.people.task_queue import QUEUE, Ending, Task
from embedded_aws.sagemaker.service_output import OutputRefused, RoleOutput
from review_page.answers import Answer
from review_page.questions import TemplateError, classifiers
from review_page.templates import render

EVENT = "SageMaker Ground Truth Labeling Job State Change"
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
    """The run of one job, in a thread of its own; ``job`` is the record that DescribeLabelingJob shows."""

    def __init__(self, job: Request, output: RoleOutput) -> None:
        self._job, self._output = job, output
        self._task = job["HumanTaskConfig"]
        self._attribute: str = job["LabelAttributeName"]
        self._root = f"{job['OutputConfig']['S3OutputPath'].rstrip('/')}/{job['LabelingJobName']}"
        self._objects: list[dict[str, Any]] = []
        self._categories: list[str] = []
        self._open: dict[int, Task] = {}
        self._answers: dict[int, list[Answer]] = {}
        self._failures: dict[int, str] = {}
        self._lines: dict[int, dict[str, Any]] = {}
        self._changed = threading.Condition()
        self._generation = QUEUE.generation

    def run(self) -> None:
        """Work until a final status; every failure of the job's inputs, role or functions ends as Failed with its reason."""
        try:
            clock.sleep(INITIALIZING_SECONDS)
            template = self._read_inputs()
            self._set_status("InProgress")
            self._ask_people(template)
            self._consolidate()
            status = self._write_manifest()
        except (OutputRefused, DocumentError, TemplateError, ApiError) as error:
            self._withdraw()
            self._job["FailureReason"] = f"ClientError: {error.message if isinstance(error, ApiError) else error}"[:1024]
            status = "Failed"
        except _EmulatorReset:
            return
        except Exception:
            background.log.exception("labeling job %s failed", self._job["LabelingJobName"])
            self._withdraw()
            self._job["FailureReason"] = "InternalServerError: see the emulator's log"
            status = "Failed"
        self._set_status(status, final=True)
        service_events.emit("aws.sagemaker", EVENT, {"LabelingJobStatus": status}, [self._job["LabelingJobArn"]])

    # -- inputs ----------------------------------------------------------------------------------------

    def _read_inputs(self) -> str:
        self._objects = documents.read_manifest(self._output.read(self._job["InputConfig"]["DataSource"]["S3DataSource"]["ManifestS3Uri"]))
        if "LabelCategoryConfigS3Uri" in self._job:
            self._categories = documents.read_categories(self._output.read(self._job["LabelCategoryConfigS3Uri"]))
        self._count()
        ui = self._task["UiConfig"]
        return self._output.read(ui["UiTemplateS3Uri"]) if "UiTemplateS3Uri" in ui else template_of(ui["HumanTaskUiArn"])

    def _allowed(self) -> int:
        """How many objects people may label, by the stopping conditions."""
        limits: dict[str, int] = self._job.get("StoppingConditions", {})
        allowed = len(self._objects)
        if "MaxPercentageOfInputDatasetLabeled" in limits:
            allowed = min(allowed, allowed * limits["MaxPercentageOfInputDatasetLabeled"] // 100)
        return min(allowed, limits.get("MaxHumanLabeledObjectCount", allowed))

    # -- people ----------------------------------------------------------------------------------------

    @property
    def _stopping(self) -> bool:
        return bool(self._job["LabelingJobStatus"] == "Stopping")

    def _ask_people(self, template: str) -> None:
        """Send objects while there is room, until every sent one is over; a stopped job withdraws what nobody holds."""
        room = self._task.get("MaxConcurrentTaskCount", DEFAULT_CONCURRENT_TASKS)
        unsent = list(range(self._allowed()))
        while unsent or self._open:
            if QUEUE.generation != self._generation:
                raise _EmulatorReset
            if self._stopping:
                unsent.clear()
                self._withdraw()
            while unsent and len(self._open) < room and not self._stopping:
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
            request = documents.pre_annotation_request(self._job["LabelingJobArn"], data)
            task_input = documents.read_pre_annotation(self._output.invoke(self._task["PreHumanTaskLambdaArn"], request))
        except (OutputRefused, DocumentError) as error:
            self._fail(index, str(error))
            return
        if task_input is None:
            return

        def page() -> str:
            return render(template, task_input, read_access(self._output.session))

        task = Task(
            source=self._job["LabelingJobArn"],
            title=self._task["TaskTitle"],
            description=self._task["TaskDescription"],
            workteam_arn=self._task["WorkteamArn"],
            input=task_input,
            wanted=self._task["NumberOfHumanWorkersPerDataObject"],
            time_limit_seconds=self._task["TaskTimeLimitInSeconds"],
            lifetime_seconds=self._task.get("TaskAvailabilityLifetimeInSeconds", DEFAULT_LIFETIME_SECONDS),
            classifiers=classifiers(page()),
            render=page,
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
        request = documents.consolidation_request(self._job, self._categories, uri)
        function = self._task["AnnotationConsolidationConfig"]["AnnotationConsolidationLambdaArn"]
        contents = documents.read_consolidation(self._output.invoke(function, request), self._attribute)
        for index in batch:
            content = contents.get(str(index))
            if content is None:
                self._fail(index, "The consolidation function returned nothing for this object.")
            else:
                created = dt.datetime.now(dt.UTC).replace(tzinfo=None).isoformat()
                self._lines[index] = documents.labeled_line(
                    self._objects[index], content, self._attribute, self._job["LabelingJobName"], created
                )
        self._count()

    def _write_manifest(self) -> str:
        """Write the output manifest; returns the job's final status."""
        created = dt.datetime.now(dt.UTC).replace(tzinfo=None).isoformat()
        for index, reason in self._failures.items():
            self._lines[index] = documents.failed_line(self._objects[index], reason, self._attribute, self._job["LabelingJobName"], created)
        lines = [json.dumps(self._lines[index], ensure_ascii=False) for index in sorted(self._lines)]
        uri = f"{self._root}/manifests/output/output.manifest"
        self._output.write(uri, "".join(f"{line}\n" for line in lines))
        self._job["LabelingJobOutput"] = {"OutputDatasetS3Uri": uri}
        if self._failures and len(self._failures) == len(self._objects):
            raise DocumentError(f"no object could be labeled; the first failure: {next(iter(self._failures.values()))}")
        limited = self._allowed() < len(self._objects)
        return "Stopped" if self._stopping or limited else "Completed"

    # -- the record ------------------------------------------------------------------------------------

    def _count(self) -> None:
        self._job["LabelCounters"] = counters(len(self._objects), labeled=len(self._lines), failed=len(self._failures))

    def _set_status(self, status: str, *, final: bool = False) -> None:
        """A stop that came meanwhile stays until the run has ended."""
        if final or not self._stopping:
            self._job["LabelingJobStatus"] = status
        self._job["LastModifiedTime"] = dt.datetime.now(dt.UTC)


def _stamp() -> str:
    """``2026-11-23_20:41:07.123456`` made safe for a key."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%d_%H-%M-%S.%f")
