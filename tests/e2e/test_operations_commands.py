"""The commands of ``docs/operations.md`` as they are written, from bootstrap to tear-down: real AWS CLI, CDK and curl against ``make aws``.

One bash runs the page's blocks in their order. What an account would bring by itself (a stage's settings, a team's texts, a dead
letter, a failed execution) is put in place before the block that needs it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import operations_page
import pytest
import yaml
from working_copy import copy_to

from embedded_aws.tools import launcher
from embedded_aws.tools.clients import ACCOUNT, Clients
from local.demo.people_page import Visitor, code
from local.texts import corpus
from stacks.synthesis import QUICKLY

PAGE = operations_page.PAGE.read_text(encoding="utf-8")
BLOCKS = operations_page.read(PAGE)
ONLY_ON_AWS = {"aws pricing": "the embedded AWS has no price list"}
"""Blocks that need a real account."""
INLINE_ONLY_ON_AWS = {
    "aws service-quotas request-service-quota-increase": "asks people for more, who take days",
    "aws apigateway update-account": "names a role that the reader has",
    "aws cloudwatch describe-alarm-history": "has no history of actions in the embedded AWS",
    "aws cloudformation delete-stack": "deletes a stack whose own check cannot run",
}
LONGEST_SECONDS = 1_800
_OWN_PASSWORD = "Chosen-By-the-reviewer-1"
P, STAGE, REGION = "reviewloop-dev", "dev", "us-east-1"
SMALL = {
    "tuning": {
        "max_jobs": 2, "learning_rate": {"low": 2e-4, "high": 5e-4}, "layers": [4], "trained_layers": ["2"], "epochs": [2],
    },
    "gates": {
        "approval": "automatic", "min_macro_f1": 0.0, "min_gain_over_majority": 0.0, "min_gain_over_tfidf": -0.5,
        "max_loss_to_champion": 1.0, "min_class_recall": 0.0, "min_slice_accuracy": 0.0,
    },
    "hosting": {"initial_instance_count": 1, "scaling": None, "fleet_shift": {"type": "ALL_AT_ONCE", "wait_seconds": 0}},
}  # fmt: skip
"""What the page names as the cheapest while trying, and gates that a model of some hundred texts passes."""


# -- the page itself -------------------------------------------------------------------------------


def test_what_needs_a_real_account_is_marked_on_the_page_and_known_here() -> None:
    marked = [block.text for block in BLOCKS if block.only_on_aws]
    assert sorted(next((known for known in ONLY_ON_AWS if text.startswith(known)), text) for text in marked) == sorted(ONLY_ON_AWS)


def test_no_command_in_running_text_goes_untried_without_saying_so() -> None:
    commands = operations_page.inline_commands(PAGE)
    assert [command for command, marked in commands if not marked] == [], "put it into a block, or mark it"
    for command, _ in commands:
        assert any(command.startswith(known) for known in INLINE_ONLY_ON_AWS), command


def test_every_step_has_a_line_for_this_machine() -> None:
    table = PAGE.partition("| step | on this machine |")[2].partition("\n\n")[0]
    for step in (
        "account",
        "bootstrap",
        "upload",
        "tuning",
        "release",
        "API",
        "reviewers",
        "quotas",
        "dead letters",
        "withdrawing",
        "down",
    ):
        assert step in table


def test_blocks_and_marks_are_found() -> None:
    page = (
        "## A\nOne:\n\n   ```sh\n   aws x\n   ```\n\n## B\nTwo (*only on AWS*):\n\n```python\nprint(1)\n```\n"
        "See `aws a b --c`. *Only on AWS*: `aws d e --f`"
    )
    first, second = operations_page.read(page)
    assert (first.text, first.section, first.only_on_aws) == ("aws x\n", "A", False)
    assert (second.section, second.only_on_aws) == ("B", True)
    assert operations_page.inline_commands(page) == [("aws a b --c", False), ("aws d e --f", True)]


# -- the page's commands ---------------------------------------------------------------------------


class Bash:
    """One bash that ends at the first command that fails; its output is read block by block."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.log = folder.parent / "bash.log"
        self._errors = self.log.open("w", encoding="utf-8")
        self._process = subprocess.Popen(
            ["bash"], cwd=folder, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        self.run("set -eu")

    def run(self, script: str) -> str:
        """What the block prints; fails with the end of the log when a command does, or when nothing comes for too long."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        watchdog = threading.Timer(LONGEST_SECONDS, self._process.kill)
        watchdog.start()
        try:
            # A block's last line may come without its end, as an answer that curl prints.
            self._process.stdin.write(f"{script}\nprintf '\\n--- ended\\n'\n")
            self._process.stdin.flush()
            said = []
            for line in self._process.stdout:
                if line == "--- ended\n":
                    return "".join(said)
                said.append(line)
        finally:
            watchdog.cancel()
        errors = self.log.read_text(encoding="utf-8", errors="replace")[-3_000:]
        pytest.fail(
            f"this block failed:\n{script}\n--- it printed:\n{''.join(said)[-3_000:]}\n--- standard error:\n{errors}", pytrace=False
        )

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._errors.close()


class Operator:
    """Somebody with a copy of the project, a file of texts and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = launcher.free_port()
        settings = folder / "settings" / "dev.yaml"
        content = yaml.safe_load(settings.read_text(encoding="utf-8"))
        for section, fields in SMALL.items():
            content[section] = {**content.get(section, {}), **fields}
        settings.write_text(yaml.safe_dump(content), encoding="utf-8")
        (folder / "texts.csv").write_text(_texts(), encoding="utf-8")
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        variables = {
            **kept, "EMBEDDED": "1", "EMBEDDED_AWS_PORT": str(self.port), "CDK_REQUIRE_APPROVAL": "never", "CDK_FORCE": "true",
            **QUICKLY, "CI": "true", "CDK_DISABLE_VERSION_CHECK": "1", "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
        }  # fmt: skip
        self.bash = Bash(folder, variables)

    def client(self, service: str) -> Any:
        return Clients(f"http://127.0.0.1:{self.port}", REGION)(service)

    def end(self) -> None:
        self.bash.close()
        running = launcher.find(self.folder / ".run")
        if running is not None:
            running.stop()


def _texts() -> str:
    """A team's own labelled texts: every ninth of the Amazon reviews, as a CSV file."""
    rows = [item.row for item in corpus.rated_texts("amazon")][::9]
    quoted = (f'"{row.text.replace(chr(34), chr(34) * 2)}",{row.label},{row.group}' for row in rows)
    return "\n".join(["text,label,group", *quoted]) + "\n"


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    person = Operator(copy_to(tmp_path / "reviewloop"))
    try:
        yield person
    finally:
        person.end()


def _a_dead_letter_and_a_failed_execution(operator: Operator) -> None:
    sqs = operator.client("sqs")
    queue = sqs.get_queue_url(QueueName=f"{P}-review-requests-dlq")["QueueUrl"]
    record = operator.client("dynamodb").scan(TableName=f"{P}-predictions", Limit=1)["Items"][0]
    request = {
        "prediction_id": record["prediction_id"]["S"], "text": "I love it", "predicted_label": "positive", "confidence": 0.5,
        "reason": "audit", "attempt": 1,
    }  # fmt: skip
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(request))
    states, machine = operator.client("stepfunctions"), f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{P}-rollout"
    failed = states.start_execution(stateMachineArn=machine, input='{"champion": "none", "challenger": "none"}')["executionArn"]
    while states.describe_execution(executionArn=failed)["status"] == "RUNNING":
        time.sleep(0.2)


def _an_authenticator_app(operator: Operator) -> None:
    """The reviewer has signed in once, with a password of her own."""
    cognito = operator.client("cognito-idp")
    [pool] = (one["Id"] for one in cognito.list_user_pools(MaxResults=10)["UserPools"])
    [client] = (one["ClientId"] for one in cognito.list_user_pool_clients(UserPoolId=pool, MaxResults=10)["UserPoolClients"])
    found = cognito.describe_user_pool_client(UserPoolId=pool, ClientId=client)["UserPoolClient"]
    domain = cognito.describe_user_pool(UserPoolId=pool)["UserPool"]["Domain"]
    cognito.admin_set_user_password(UserPoolId=pool, Username="ada", Password=_OWN_PASSWORD, Permanent=True)
    asked = {"client_id": client, "response_type": "code", "redirect_uri": found["CallbackURLs"][0], "scope": "openid"}
    person = Visitor(operator.port)
    page = person.get(f"https://{domain}.auth.{REGION}.amazoncognito.com/oauth2/authorize?{urlencode(asked)}")
    page = person.submit(page, username="ada", password=_OWN_PASSWORD)
    key = re.search(r'<code id="secret">([A-Z2-7]+)</code>', page.text)
    assert key is not None, page.text[:2_000]
    person.submit(page, code=code(key[1], time.time()))
    assert cognito.admin_get_user(UserPoolId=pool, Username="ada")["UserMFASettingList"] == ["SOFTWARE_TOKEN_MFA"]


BEFORE: dict[str, Callable[[Operator], None]] = {
    "QUEUES=": _a_dead_letter_and_a_failed_execution,
    ".venv/bin/python -m cli review people reset-authenticator": _an_authenticator_app,
}
"""What has to be there before the block that begins so."""
EXPECTED = {
    ".venv/bin/python -m cli tune start": r"^tuned: arn:",
    ".venv/bin/python -m cli release start": r"released: .*InService",
    ".venv/bin/python -m cli release abort": r"withdrawn: ",
    ".venv/bin/python -m cli review people reset-authenticator": r"deleted the authenticator app",
    "curl": r"\"label\": ?\"(negative|neutral|positive)\"",
    "import json, os": r"'label': '(negative|neutral|positive)'",
    "QUEUES=": r"I love it.*(COMPLETED|RUNNING)",
    ".venv/bin/python -m cli release history": r"refused.*rollout \S+ runs: ",
}
"""What the block that begins so prints."""


@pytest.mark.operations
@pytest.mark.timeout(1_800)
def test_the_pages_commands_run_as_they_are_written(operator: Operator) -> None:
    met = set()
    for block in BLOCKS:
        if block.only_on_aws:
            continue
        for begin, prepare in BEFORE.items():
            if block.text.startswith(begin):
                prepare(operator)
        said = operator.bash.run(block.script)
        for begin, expected in EXPECTED.items():
            if block.text.startswith(begin):
                met.add(begin)
                assert re.search(expected, said, re.DOTALL | re.MULTILINE), f"{block.section}: {block.text}\nprinted:\n{said}"
    assert met == set(EXPECTED), "the page no longer has these blocks"
    assert left_behind(operator) == []


def left_behind(operator: Operator) -> list[str]:
    """What of the stage is still there, apart from the key that waits for its deletion."""
    client = operator.client
    stacks = client("cloudformation").describe_stacks()["Stacks"]
    tables, buckets = client("dynamodb").list_tables()["TableNames"], client("s3").list_buckets()["Buckets"]
    pools, sagemaker = client("cognito-idp").list_user_pools(MaxResults=10)["UserPools"], client("sagemaker")
    names = [*tables, *(bucket["Name"] for bucket in buckets), *(pool["Name"] for pool in pools)]
    names += [stack["StackName"] for stack in stacks]
    names += [role["RoleName"] for role in client("iam").list_roles()["Roles"]]
    names += [parameter["Name"] for parameter in client("ssm").describe_parameters()["Parameters"]]
    # CloudFormation names these without the stack, and nobody else has any in this account.
    unnamed = [model["ModelName"] for model in sagemaker.list_models()["Models"]]
    unnamed += [config["EndpointConfigName"] for config in sagemaker.list_endpoint_configs()["EndpointConfigs"]]
    return [*unnamed, *(name for name in names if P in name or f"reviewloop/{STAGE}" in name)]
