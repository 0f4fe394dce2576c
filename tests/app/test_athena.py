"""Athena in the embedded AWS: the drift check's own query over captured files, through the monitoring stack's own table."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apps import new_app
from aws_cdk.assertions import Template
from botocore.exceptions import ClientError

from embedded_aws.tools.launcher import EMULATOR_PYTHON, ROOT
from lambdas.monitoring.detect_drift.handler import QUERY
from stacks.monitoring import MonitoringStack
from stacks.settings import load_settings

ClientFactory = Callable[..., Any]
SETTINGS = load_settings(Path(__file__).resolve().parents[2] / "settings" / "dev.yaml")
MINE, OTHER = "job-1", "job-2"
NOW = dt.datetime.now(dt.UTC).replace(minute=30, second=0, microsecond=0) - dt.timedelta(hours=1)


def captured(
    label: str,
    *,
    seconds: float = 0,
    version: str = MINE,
    confidence: float = 0.5,
    tokens: int = 10,
    oov: int = 1,
    prediction: str = "",
    **answered: Any,
) -> str:
    """One captured line in the documented form; ``seconds`` after NOW."""
    answer = [{"label": label, "confidence": confidence, "model_version": version, "tokens": tokens, "oov_tokens": oov, **answered}]
    sides = {
        "endpointInput": {"observedContentType": "application/json", "mode": "INPUT", "data": '{"inputs":"hi"}', "encoding": "JSON"},
        "endpointOutput": {
            "observedContentType": "application/json", "mode": "OUTPUT", "data": json.dumps(answer), "encoding": "JSON"
        },
    }  # fmt: skip
    moment = (NOW + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    event = str(uuid.uuid4())
    metadata = {"eventId": event, "inferenceId": prediction or f"p-{event}", "customAttributes": ["a"], "inferenceTime": moment}
    return json.dumps({"captureData": sides, "eventMetadata": metadata, "eventVersion": "0"})


class Captures:
    """The monitoring stack's table with its files, and its query."""

    def __init__(self, aws: ClientFactory) -> None:
        self._aws, self._s3, self.athena = aws, aws("s3"), aws("athena")
        self.names = MonitoringStack(new_app(), SETTINGS)
        template = Template.from_stack(self.names).to_json()
        resources = {name: body for name, body in template["Resources"].items() if body["Type"].startswith("AWS::Glue::")}
        aws("cloudformation").create_stack(StackName="athena-tests", TemplateBody=json.dumps({"Resources": resources}))
        aws("cloudformation").get_waiter("stack_create_complete").wait(StackName="athena-tests", WaiterConfig={"Delay": 1})
        self.database = self.names.names.database
        table = aws("glue").get_table(DatabaseName=self.database, Name="capture")["Table"]
        self.location = table["StorageDescriptor"]["Location"]
        self.bucket = self.location.removeprefix("s3://").split("/")[0]
        self._s3.create_bucket(Bucket=self.bucket)

    def put(self, *lines: str | bytes, variant: str = "champion", hour: dt.datetime = NOW) -> str:
        key = f"{self.location.removeprefix(f's3://{self.bucket}/')}{variant}/{hour:%Y/%m/%d/%H}/{uuid.uuid4().hex}.jsonl"
        self._s3.put_object(
            Bucket=self.bucket, Key=key, Body=b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
        )
        return key

    def clear(self) -> None:
        for item in self._s3.list_objects_v2(Bucket=self.bucket).get("Contents", []):
            self._s3.delete_object(Bucket=self.bucket, Key=item["Key"])

    def execute(self, query: str, *parameters: str) -> dict[str, Any]:
        asked = {"QueryString": query, "QueryExecutionContext": {"Database": self.database}}
        results = {"ResultConfiguration": {"OutputLocation": f"s3://{self.bucket}/athena-results/"}}
        given = {"ExecutionParameters": list(parameters)} if parameters else {}
        name = self.athena.start_query_execution(**asked, **results, **given)["QueryExecutionId"]
        deadline = time.monotonic() + 60
        while True:
            execution: dict[str, Any] = self.athena.get_query_execution(QueryExecutionId=name)["QueryExecution"]
            if execution["Status"]["State"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
                return execution
            assert time.monotonic() < deadline, execution["Status"]
            time.sleep(0.05)

    def rows(self, query: str, *parameters: str) -> list[list[str | None]]:
        execution = self.execute(query, *parameters)
        assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"].get("StateChangeReason")
        found = self.athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])["ResultSet"]["Rows"][1:]
        return [[cell.get("VarCharValue") for cell in row["Data"]] for row in found]

    def recent(self, window: int = 100, since: dt.datetime = NOW - dt.timedelta(days=1), version: str = MINE) -> dict[str, list[float]]:
        """The drift check's query: label -> predictions, and sums of confidence, tokens and unknown tokens."""
        rows = self.rows(QUERY.format(window=window), f"'{since:%Y/%m/%d/%H}'", f"'{version}'")
        return {str(row[0]): [float(cell or "nan") for cell in row[1:]] for row in rows if row[0]}

    def left_out(self, version: str = MINE) -> int:
        """What the same query leaves out."""
        rows = self.rows(QUERY.format(window=100), f"'{NOW - dt.timedelta(days=1):%Y/%m/%d/%H}'", f"'{version}'")
        return sum(int(str(row[1])) for row in rows if not row[0])


@pytest.fixture(scope="module")
def made(aws: ClientFactory) -> Captures:
    return Captures(aws)


@pytest.fixture
def captures(made: Captures) -> Captures:
    made.clear()
    return made


def test_predictions_are_counted_by_label(captures: Captures) -> None:
    captures.put(captured("positive", confidence=0.9, tokens=4, oov=0), captured("negative", confidence=0.6, tokens=6, oov=2))
    captures.put(captured("positive", confidence=0.8, tokens=5, oov=1))
    assert captures.recent() == {"negative": [1, 0.6, 6, 2], "positive": [2, pytest.approx(1.7), 9, 1]}


def test_without_captured_files_there_is_no_row(captures: Captures) -> None:
    assert captures.recent() == {}


def test_only_the_champion_and_only_this_model_version_count(captures: Captures) -> None:
    captures.put(captured("positive"), captured("neutral", version=OTHER))
    captures.put(captured("negative"), variant="challenger")
    assert captures.recent() == {"positive": [1, 0.5, 10, 1]}
    assert captures.recent(version=OTHER).keys() == {"neutral"}


def test_the_window_holds_the_newest_whatever_the_order_of_the_files(captures: Captures) -> None:
    captures.put(captured("newest", seconds=30), captured("oldest", seconds=-30))
    captures.put(captured("middle", seconds=0))
    assert captures.recent(window=2).keys() == {"newest", "middle"}
    assert captures.recent(window=1).keys() == {"newest"}


def test_hours_before_the_first_one_asked_for_do_not_count(captures: Captures) -> None:
    earlier = NOW - dt.timedelta(hours=3)
    captures.put(captured("early"), hour=earlier)
    captures.put(captured("late"))
    assert captures.recent(since=NOW).keys() == {"late"}
    assert captures.recent(since=earlier).keys() == {"early", "late"}


def test_folders_outside_the_projection_are_invisible(captures: Captures) -> None:
    captures.put(captured("here"))
    captures.put(captured("unknown variant"), variant="shadow")
    captures.put(captured("before the range"), hour=dt.datetime(2025, 12, 31, 23, tzinfo=dt.UTC))
    captures.put(captured("in the future"), hour=NOW + dt.timedelta(hours=5))
    assert captures.rows("SELECT variant, hour, COUNT(*) FROM capture GROUP BY variant, hour") == [["champion", f"{NOW:%Y/%m/%d/%H}", "1"]]


def test_a_batch_of_answers_is_unnested(captures: Captures) -> None:
    one, two = (json.loads(captured(label)) for label in ("positive", "negative"))
    answers = [json.loads(line["captureData"]["endpointOutput"]["data"])[0] for line in (one, two)]
    one["captureData"]["endpointOutput"]["data"] = json.dumps(answers)
    captures.put(json.dumps(one))
    assert captures.recent().keys() == {"positive", "negative"}


def test_new_files_are_seen_by_the_next_query_and_deleted_ones_are_gone(captures: Captures) -> None:
    key = captures.put(captured("positive"))
    assert captures.recent() == {"positive": [1, 0.5, 10, 1]}
    captures.put(captured("positive"))
    assert captures.recent() == {"positive": [2, 1.0, 20, 2]}
    captures._s3.delete_object(Bucket=captures.bucket, Key=key)
    assert captures.recent() == {"positive": [1, 0.5, 10, 1]}


def test_nested_columns_and_arrays_are_read(captures: Captures) -> None:
    captures.put(captured("positive", prediction="p-1"))
    query = "SELECT eventmetadata.inferenceid, eventmetadata.customattributes[1], eventversion, capturedata.endpointinput.mode FROM capture"
    assert captures.rows(query) == [["p-1", "a", "0", "INPUT"]]


# -- lines that are not as they should be ------------------------------------------------------------


def with_output(data: Any, encoding: str = "JSON") -> str:
    """A captured line with this answer, as text."""
    line = json.loads(captured("positive"))
    line["captureData"]["endpointOutput"] |= {"data": data, "encoding": encoding}
    return json.dumps(line)


BAD_LINES = {
    "a text/csv answer is captured as base64": with_output("cG9zaXRpdmUsMC45Cg==", "BASE64"),
    "an object instead of a list": with_output('{"verdict": "what?"}'),
    "a cut line": captured("positive")[:-40],
    "a line cut within a character": '{"captureData": {"endpointInput": {"data": "é'.encode()[:-1],
    "no JSON": "Internal Server Error",
    "a list": "[1, 2]",
    "an answer that was cut": with_output('[{"label": "positive", "confid'),
    "no answer": with_output(None),
    "a list without an answer": with_output("[]"),
    "a list of texts": with_output('["positive"]'),
    "nulls": with_output("[null]"),
    "a column of another type": json.dumps({"captureData": "none", "eventMetadata": {"eventId": "e"}}),
    "nothing of it": "{}",
}
BAD_ANSWERS = {
    "no number": captured("positive", confidence="high"),  # type: ignore[arg-type]
    "not a number": captured("positive", confidence="NaN"),  # type: ignore[arg-type]
    "a share above one": captured("positive", confidence=90),
    "negative tokens": captured("positive", tokens=-1, oov=-1),
    "more unknown than all": captured("positive", tokens=3, oov=4),
    "no tokens": captured("positive", tokens=None),  # type: ignore[arg-type]
    "a label that is an object": captured({"name": "positive"}),  # type: ignore[arg-type]
    "an empty label": captured(""),
}
"""Of a model version that can be read: nothing that another model's check counts."""
BAD = {**BAD_LINES, **BAD_ANSWERS}


@pytest.mark.parametrize("line", BAD.values(), ids=BAD.keys())
def test_a_bad_line_stops_no_drift_check_and_is_counted(captures: Captures, line: str | bytes) -> None:
    """For seven days one such line made every query fail."""
    captures.put(captured("positive"), line, captured("negative"))
    assert captures.recent() == {"negative": [1, 0.5, 10, 1], "positive": [1, 0.5, 10, 1]}
    assert captures.left_out() == 1


def test_every_bad_line_counts_and_another_models_do_not(captures: Captures) -> None:
    captures.put(*BAD.values(), captured("positive"))
    assert captures.recent() == {"positive": [1, 0.5, 10, 1]}
    assert captures.left_out() == len(BAD)
    captures.put(captured("positive", version=OTHER, confidence=90))
    assert captures.left_out() == len(BAD)
    assert captures.left_out(OTHER) == len(BAD_LINES) + 1


def test_a_prediction_that_was_captured_twice_counts_once(captures: Captures) -> None:
    """A write that was tried again, or both ways of capture while one takes over from the other: other event, same inference."""
    line = captured("positive", prediction="p-1")
    captures.put(line, line)
    captures.put(captured("positive", prediction="p-1"), captured("positive", prediction="p-2"))
    assert captures.recent() == {"positive": [2, 1.0, 20, 2]}


def test_a_call_that_only_compared_two_models_is_no_prediction(captures: Captures) -> None:
    captures.put(captured("positive", prediction="p-1"), captured("negative", prediction="pair-p-2"))
    assert captures.recent() == {"positive": [1, 0.5, 10, 1]}


def test_only_a_line_feed_ends_a_line(captures: Captures) -> None:
    line = json.loads(captured("positive"))
    line["captureData"]["endpointInput"]["data"] = json.dumps({"inputs": "one \u2028 two \u0085 three \u000c"}, ensure_ascii=False)
    captures.put(json.dumps(line, ensure_ascii=False))
    assert captures.recent() == {"positive": [1, 0.5, 10, 1]}
    assert captures.left_out() == 0


# -- parameters and failures -----------------------------------------------------------------------


def test_parameters_replace_question_marks_outside_of_literals_and_comments(captures: Captures) -> None:
    captures.put(captured("positive"))
    query = "SELECT 'why?' AS a, ? AS b, 'it''s ?' AS c -- isn't this ?\nFROM capture /* or ? */ WHERE variant = ?"
    assert captures.rows(query, "'x -- ?'", "'champion'") == [["why?", "x -- ?", "it's ?"]]


@pytest.mark.parametrize("given", [["'2026/01/01/00'"], ["'2026/01/01/00'", "'job'", "'more'"]])
def test_a_wrong_number_of_parameters_is_refused(captures: Captures, given: list[str]) -> None:
    with pytest.raises(ClientError, match=f"Incorrect number of parameters: expected 2 but found {len(given)}") as refused:
        captures.execute(QUERY.format(window=1), *given)
    assert refused.value.response["Error"]["Code"] == "InvalidRequestException"


def test_a_line_that_is_no_json_fails_the_query_of_a_table_that_does_not_ignore_it_and_names_its_file(
    captures: Captures, aws: ClientFactory
) -> None:
    glue = aws("glue")
    table = glue.get_table(DatabaseName=captures.database, Name="capture")["Table"]
    kept = {name: table[name] for name in ("StorageDescriptor", "PartitionKeys", "TableType", "Parameters")}
    kept["StorageDescriptor"]["SerdeInfo"]["Parameters"] = {"case.insensitive": "true"}
    glue.create_table(DatabaseName=captures.database, TableInput={"Name": "strict", **kept})
    captures.put(captured("positive"))
    key = captures.put(captured("positive"), '{"captureData": ')
    status = captures.execute("SELECT COUNT(*) FROM strict")["Status"]
    assert status["State"] == "FAILED"
    assert "Row is not a valid JSON Object" in status["StateChangeReason"]
    assert key in status["StateChangeReason"]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT no_such_column FROM capture", "no_such_column"),
        ("SELECT label FROM no_such_table", "no_such_table"),
        ("SELECT FROM WHERE capture", ""),
        ("SELECT CAST(variant AS BIGINT) FROM capture", "champion"),
    ],
)
def test_a_query_that_cannot_run_fails_with_a_reason(captures: Captures, query: str, reason: str) -> None:
    captures.put(captured("positive"))
    execution = captures.execute(query)
    assert execution["Status"]["State"] == "FAILED"
    assert execution["Status"]["StateChangeReason"]
    assert reason in execution["Status"]["StateChangeReason"]
    with pytest.raises(ClientError, match="Query has failed"):
        captures.athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])


def test_the_folder_of_the_project_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "plät form & ada's [1] *"
    folder.mkdir()
    code = """
from embedded_aws.athena import queries as athena
athena.rows_of = lambda _: [{"text": "I love it"}]
athena._columns = lambda _: "{'text': 'VARCHAR'}"
athena._serde = lambda *_: "false"
print(athena._run("SELECT text FROM captured", {"captured": {}})["rows"])
"""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([str(EMULATOR_PYTHON), "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert done.stdout == "[['I love it']]\n", done.stderr
