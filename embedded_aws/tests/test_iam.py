"""IAM of the embedded AWS: SageMaker, passed roles, customer keys, signed APIs, and the record of every decision."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.iam.requests import Call, Check, context, passed_roles, resources, runtime_action
from embedded_aws.tests.test_hooks import in_emulator
from embedded_aws.tools import launcher
from embedded_aws.tools.iam_report import Decision, Grant, decisions, denied, report, role_report, totals

ClientFactory = Callable[..., Any]
REGION, ACCOUNT = "us-east-1", "000000000000"


def call(service: str, operation: str, body: dict[str, Any] | None = None, path: str = "/", **more: Any) -> Call:
    return Call(service, operation, body or {}, REGION, ACCOUNT, path=path, **more)


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("POST", "/endpoints/e/invocations", "sagemaker:InvokeEndpoint"),
        ("POST", "/endpoints/e/async-invocations", "sagemaker:InvokeEndpointAsync"),
        ("POST", "/endpoints/e/invocations-response-stream", "sagemaker:InvokeEndpointWithResponseStream"),
        ("POST", "/human-loops", "sagemaker:StartHumanLoop"),
        ("POST", "/human-loops/stop", "sagemaker:StopHumanLoop"),
        ("GET", "/human-loops", "sagemaker:ListHumanLoops"),
        ("GET", "/human-loops/l", "sagemaker:DescribeHumanLoop"),
        ("DELETE", "/human-loops/l", "sagemaker:DeleteHumanLoop"),
        ("POST", "/", None),
    ],
)
def test_runtime_paths_are_actions(method: str, path: str, action: str | None) -> None:
    assert runtime_action(method, path) == action


SM, SSM = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:", f"arn:aws:ssm:{REGION}:{ACCOUNT}:"
DYNAMODB = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:"
GLUE = f"arn:aws:glue:{REGION}:{ACCOUNT}:"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (call("sagemaker", "InvokeEndpoint", path="/endpoints/MyEnd/invocations"), [f"{SM}endpoint/myend"]),
        (call("sagemaker", "CreateTrainingJob", {"TrainingJobName": "Job-1"}), [f"{SM}training-job/job-1"]),
        (
            call("sagemaker", "CreateHyperParameterTuningJob", {"HyperParameterTuningJobName": "t"}),
            [f"{SM}hyper-parameter-tuning-job/t"],
        ),
        (
            call("sagemaker", "UpdateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"}),
            [f"{SM}endpoint/e", f"{SM}endpoint-config/c"],
        ),
        (call("sagemaker", "UpdateEndpointWeightsAndCapacities", {"EndpointName": "e"}), [f"{SM}endpoint/e"]),
        (call("sagemaker", "CreateModelPackage", {"ModelPackageGroupName": "g"}), [f"{SM}model-package/g/*"]),
        (call("sagemaker", "DescribeModelPackage", {"ModelPackageName": f"{SM}model-package/g/3"}), [f"{SM}model-package/g/3"]),
        (call("sagemaker", "PutModelPackageGroupPolicy", {"ModelPackageGroupName": "g"}), [f"{SM}model-package-group/g"]),
        (call("sagemaker", "AddTags", {"ResourceArn": f"{SM}model/m"}), [f"{SM}model/m"]),
        (call("sagemaker", "ListModelPackages", {"ModelPackageGroupName": "g"}), ["*"]),
        (
            call("sagemaker", "StartHumanLoop", {"FlowDefinitionArn": f"{SM}flow-definition/f"}, path="/human-loops"),
            [f"{SM}flow-definition/f"],
        ),
        (call("sagemaker", "DescribeHumanLoop", path="/human-loops/loop-1", method="GET"), [f"{SM}human-loop/loop-1"]),
        (call("ssm", "GetParameters", {"Names": ["/a/b", "c"]}), [f"{SSM}parameter/a/b", f"{SSM}parameter/c"]),
        (call("ssm", "GetParameter", {"Name": "/a"}), None),
        (call("glue", "GetTable", {"DatabaseName": "d", "Name": "t"}), [f"{GLUE}catalog", f"{GLUE}database/d", f"{GLUE}table/d/t"]),
        (
            call("glue", "GetPartitions", {"DatabaseName": "d", "TableName": "t"}),
            [f"{GLUE}catalog", f"{GLUE}database/d", f"{GLUE}table/d/t"],
        ),
        (call("glue", "GetDatabase", {"Name": "d"}), [f"{GLUE}catalog", f"{GLUE}database/d"]),
        (call("glue", "StartJobRun", {"JobName": "j"}), None),
        (call("events", "PutTargets", {"Rule": "r"}), [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/r"]),
        (call("events", "PutEvents", {"Entries": []}), None),
        (
            call("scheduler", "UpdateSchedule", path="/schedules/s", query={"groupName": ["g"]}),
            [f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/g/s"],
        ),
        (call("monitoring", "DescribeAlarms", {"AlarmNames": ["a"]}), [f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:a"]),
        (call("athena", "StartQueryExecution"), [f"arn:aws:athena:{REGION}:{ACCOUNT}:workgroup/primary"]),
    ],
)
def test_resources_follow_the_service_authorization_reference(asked: Call, expected: list[str] | None) -> None:
    assert resources(asked) == expected


def test_roles_that_a_call_hands_over_are_passed_roles() -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/job"
    nested = {"TrainingJobDefinition": {"RoleArn": role}, "TrainingJobDefinitions": [{"RoleArn": role}, {"RoleArn": f"{role}2"}]}
    wanted = {"iam:PassedToService": "sagemaker.amazonaws.com"}
    asked = call("sagemaker", "CreateHyperParameterTuningJob", nested)
    assert passed_roles(asked) == [Check("iam:PassRole", role, wanted), Check("iam:PassRole", f"{role}2", wanted)]
    assert passed_roles(call("sagemaker", "DescribeModel", {"RoleArn": role})) == []
    assert passed_roles(call("sts", "AssumeRole", {"RoleArn": role})) == []
    assert passed_roles(call("events", "PutTargets", {"Targets": [{"RoleArn": role}]}))[0].context == {
        "iam:PassedToService": "events.amazonaws.com"
    }


def test_metric_calls_carry_their_namespace() -> None:
    assert context(call("monitoring", "PutMetricData", {"Namespace": "N"})) == {"cloudwatch:namespace": "N"}
    assert context(call("monitoring", "GetMetricData", {"Namespace": "N"})) == {}


# -- in the emulator -------------------------------------------------------------------------------


class Actor:
    """A role under test: ``actor.may(statement, ...)`` sets its grants, ``actor("s3")`` is its client."""

    def __init__(self, aws: ClientFactory, make_role: Callable[..., str], assume: Callable[[str], dict[str, Any]], name: str) -> None:
        self.aws, self.name = aws, name
        self.arn = make_role(name, [])
        self.credentials = assume(self.arn)

    def __call__(self, service: str) -> Any:
        return self.aws(service, self.credentials)

    def may(self, *statements: dict[str, Any]) -> None:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        self.aws("iam").put_role_policy(RoleName=self.name, PolicyName="grants", PolicyDocument=document)


def allow(action: str | list[str], resource: str | list[str] = "*", **condition: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **({"Condition": condition} if condition else {})}


def refusal(act: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        act()
    assert "AccessDenied" in caught.value.response["Error"]["Code"]
    return str(caught.value)


@pytest.fixture
def actor(aws: ClientFactory, make_role: Callable[..., str], assume: Callable[[str], dict[str, Any]]) -> Actor:
    return Actor(aws, make_role, assume, f"actor-{uuid.uuid4().hex[:8]}")


def test_a_denial_names_principal_action_and_resource(actor: Actor) -> None:
    actor.may(allow("sagemaker:InvokeEndpoint", f"{SM}endpoint/mine"))
    message = refusal(lambda: actor("sagemaker-runtime").invoke_endpoint(EndpointName="other", Body=b"{}"))
    assert (
        f"assumed-role/{actor.name}/test is not authorized to perform: sagemaker:InvokeEndpoint on resource: {SM}endpoint/other" in message
    )
    with pytest.raises(ClientError, match="not found"):
        actor("sagemaker-runtime").invoke_endpoint(EndpointName="mine", Body=b"{}")


def test_passing_a_role_needs_a_grant_for_that_role_and_service(actor: Actor, make_role: Callable[..., str]) -> None:
    job_role = make_role(f"job-{uuid.uuid4().hex[:8]}", [])
    image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"
    container = {"Image": image, "ModelDataUrl": "s3://nowhere/model.tar.gz"}

    def create() -> None:
        actor("sagemaker").create_model(ModelName="passed", ExecutionRoleArn=job_role, PrimaryContainer=container)

    actor.may(allow("sagemaker:CreateModel"))
    assert f"iam:PassRole on resource: {job_role}" in refusal(create)
    actor.may(allow("sagemaker:CreateModel"), allow("iam:PassRole", job_role, StringEquals={"iam:PassedToService": "lambda.amazonaws.com"}))
    assert "iam:PassRole" in refusal(create)
    actor.may(
        allow("sagemaker:CreateModel"), allow("iam:PassRole", job_role, StringEquals={"iam:PassedToService": "sagemaker.amazonaws.com"})
    )
    with pytest.raises(ClientError) as caught:
        create()
    assert caught.value.response["Error"]["Code"] == "ValidationException", "past IAM: the artifact does not exist"


def test_a_customer_key_is_needed_by_whoever_touches_what_it_encrypts(actor: Actor, aws: ClientFactory) -> None:
    key = aws("kms").create_key()["KeyMetadata"]["Arn"]
    bucket = f"encrypted-{uuid.uuid4().hex[:8]}"
    aws("s3").create_bucket(Bucket=bucket)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    aws("s3").put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    queue = aws("sqs").create_queue(QueueName=bucket, Attributes={"KmsMasterKeyId": key})["QueueUrl"]
    via_s3 = {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}

    actor.may(allow(["s3:*", "sqs:*"]))
    assert f"kms:GenerateDataKey on resource: {key}" in refusal(lambda: actor("s3").put_object(Bucket=bucket, Key="k", Body=b"1"))
    assert f"kms:GenerateDataKey on resource: {key}" in refusal(lambda: actor("sqs").send_message(QueueUrl=queue, MessageBody="m"))
    actor.may(allow(["s3:*", "sqs:*"]), allow("kms:GenerateDataKey", key, StringEquals=via_s3))
    actor("s3").put_object(Bucket=bucket, Key="k", Body=b"1")
    assert f"kms:Decrypt on resource: {key}" in refusal(lambda: actor("s3").get_object(Bucket=bucket, Key="k"))
    actor.may(allow(["s3:*", "sqs:*"]), allow(["kms:GenerateDataKey", "kms:Decrypt"], key))
    assert actor("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
    actor("sqs").send_message(QueueUrl=queue, MessageBody="m")


def test_every_resource_of_a_call_is_checked(actor: Actor) -> None:
    actor.may(allow("ssm:GetParameters", f"{SSM}parameter/a"))
    actor("ssm").get_parameters(Names=["/a"])
    assert f"{SSM}parameter/b" in refusal(lambda: actor("ssm").get_parameters(Names=["/a", "/b"]))
    actor.may(allow("glue:GetTable", [f"{GLUE}catalog", f"{GLUE}table/d/t"]))
    assert f"{GLUE}database/d" in refusal(lambda: actor("glue").get_table(DatabaseName="d", Name="t"))


def test_a_transaction_is_decided_on_once_for_each_table_and_by_the_policies_of_the_moment(
    actor: Actor, aws: ClientFactory, emulator: launcher.Emulator
) -> None:
    ours, theirs = (f"{name}-{uuid.uuid4().hex[:8]}" for name in ("ours", "theirs"))
    for table in (ours, theirs):
        aws("dynamodb").create_table(
            TableName=table, KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST",
        )  # fmt: skip

    def put(*tables: str) -> None:
        puts = [{"Put": {"TableName": table, "Item": {"pk": {"S": str(number)}}}} for number, table in enumerate(tables)]
        actor("dynamodb").transact_write_items(TransactItems=puts)

    actor.may(allow("dynamodb:PutItem", f"{DYNAMODB}table/{ours}"))
    put(ours, ours, ours)
    decided = [json.loads(line) for line in emulator.audit_file.read_text().splitlines() if actor.name in line]
    assert [one["resource"] for one in decided if one["action"] == "dynamodb:PutItem"] == [f"{DYNAMODB}table/{ours}"]
    assert "dynamodb:PutItem" in refusal(lambda: put(ours, ours, theirs))
    actor.may(allow("dynamodb:PutItem", f"{DYNAMODB}table/{theirs}"))
    put(theirs, theirs)
    assert "dynamodb:PutItem" in refusal(lambda: put(theirs, ours))


LOOKED_UP = """
from ministack.core import iam_evaluator

asked, parsed = [], []
stock = iam_evaluator.parse_policy_document
for name in ("resolve_principal", "resolve_credential"):
    setattr(iam_evaluator, name, lambda *given, name=name: asked.append((name, *given)) or (name, *given))
iam_evaluator.parse_policy_document = lambda doc: parsed.append(doc) or stock(doc)

from embedded_aws.iam import decided_once

decided_once.install()
resolve, look_up, parse = iam_evaluator.resolve_principal, iam_evaluator.resolve_credential, iam_evaluator.parse_policy_document
for _ in range(2):
    with decided_once.one_request():
        first = resolve("key", "account", "checked")
        assert resolve("key", "account") is first and resolve("another", "account") is not first
        assert look_up("key", "account") is look_up("key", "account") is not look_up("key", "account", "token")
assert len(asked) == 2 * 4, asked
assert resolve("key", "account") is not resolve("key", "account") and len(asked) == 10

def policy(action):
    return {"Statement": [{"Effect": "Allow", "Action": action, "Resource": "*", "Principal": {"AWS": "*"}}]}

one, again, other = parse(policy("kms:Decrypt")), parse(policy("kms:Decrypt")), parse(policy("kms:Encrypt"))
assert one == again != other and one is not again and len(parsed) == 2, parsed
assert parse({"Statement": ({"Effect": "Allow", "Action": object()},)}) is not None and len(parsed) == 3
"""


def test_a_request_looks_its_caller_up_once_and_a_policy_is_parsed_once() -> None:
    done = in_emulator(LOOKED_UP)
    assert done.returncode == 0, done.stderr


def test_metrics_may_be_limited_to_a_namespace(actor: Actor) -> None:
    actor.may(allow("cloudwatch:PutMetricData", StringEquals={"cloudwatch:namespace": "Ours"}))
    data = [{"MetricName": "M", "Value": 1.0}]
    actor("cloudwatch").put_metric_data(Namespace="Ours", MetricData=data)
    refusal(lambda: actor("cloudwatch").put_metric_data(Namespace="Theirs", MetricData=data))


def test_loopback_counts_as_tls(actor: Actor, aws: ClientFactory) -> None:
    bucket = f"tls-{uuid.uuid4().hex[:8]}"
    aws("s3").create_bucket(Bucket=bucket)
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    aws("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    actor.may(allow("s3:*"))
    actor("s3").put_object(Bucket=bucket, Key="k", Body=b"1")


def test_the_report_tells_denied_calls_and_unused_grants(actor: Actor, emulator: launcher.Emulator, aws: ClientFactory) -> None:
    actor.may(allow(["sagemaker:ListModels", "sagemaker:ListEndpoints"]), allow("ssm:GetParameter", f"{SSM}parameter/a"))
    actor("sagemaker").list_models()
    for _ in range(2):
        refusal(lambda: actor("sagemaker").list_training_jobs())

    class Session:
        client = staticmethod(aws)

    (found,) = report(Session(), emulator.audit_file, prefix=actor.name)
    assert found.trusted == ("sagemaker.amazonaws.com",)
    assert found.calls == 3
    assert found.denied == (Decision("sagemaker:ListTrainingJobs", "*", False, 2),)
    assert [grant.action for grant in found.unused] == ["sagemaker:ListEndpoints", "ssm:GetParameter"]
    assert (actor.name, found.denied[0]) in denied(emulator.audit_file)


def test_wildcards_of_grants_are_iams() -> None:
    used = [Decision("s3:GetObject", "arn:aws:s3:::b/x/y", True, 1)]
    grants = [
        Grant("p", "s3:Get*", ("arn:aws:s3:::b/*",)),
        Grant("p", "s3:GetObject", ("arn:aws:s3:::b/[x]*",)),
        Grant("p", "S3:getobject", ("*",)),
    ]
    assert role_report("r", (), grants, used).unused == (grants[1],)


def test_a_line_cut_short_by_a_kill_is_skipped(tmp_path: Path) -> None:
    line = json.dumps({"time": 1, "principal": "arn:aws:sts::0:assumed-role/r/s", "action": "a:B", "resource": "*", "allowed": True})
    (tmp_path / "audit").write_text(f"{line}\n{line[:40]}")
    assert decisions(tmp_path / "audit") == {"r": [Decision("a:B", "*", True, 1)]}


def test_the_totals_count_calls_of_nobody_known_and_skip_a_cut_line(tmp_path: Path) -> None:
    role, nobody = "arn:aws:sts::0:assumed-role/r/s", "anonymous"
    made = [(role, "a:B", True), (role, "a:C", False), (role, "a:C", False), (nobody, "s3:ListBuckets", False)]
    lines = [json.dumps({"principal": who, "action": action, "resource": "*", "allowed": allowed}) for who, action, allowed in made]
    (tmp_path / "audit").write_text("\n".join([*lines, lines[0][:40]]))
    assert totals(tmp_path / "audit") == {"calls": 4, "denied": 3, "denied_calls": ["anonymous s3:ListBuckets", "r a:C"]}
    assert totals(tmp_path / "none") == {"calls": 0, "denied": 0, "denied_calls": []}


# -- API Gateway with AWS_IAM ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def api(aws: ClientFactory, make_role: Callable[..., str]) -> str:
    """ARN part and URL of an API whose one method takes signed requests only, as ``<api id>``."""
    from embedded_aws.testing import platform_template as platform

    parts = {**platform.code(), **platform.api()}
    for name in ("Async", "Feed", "Query", "Machine", "MachineRole", "Echo"):
        del parts[name]
    parts["Logs"]["Properties"].pop("KmsKeyId")
    code = "def handler(event, context):\n    return {'statusCode': 200, 'body': event['requestContext']['identity']['userArn']}\n"
    parts["Function"]["Properties"]["Code"] = {"ZipFile": code}
    client = aws("cloudformation")
    template = platform.template(parts, Outputs={"Api": {"Value": platform.ref("Api")}})
    client.create_stack(StackName="signed-api", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"])
    client.get_waiter("stack_create_complete").wait(StackName="signed-api", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return str(client.describe_stacks(StackName="signed-api")["Stacks"][0]["Outputs"][0]["OutputValue"])


def curl(url: str, credentials: dict[str, Any] | None, body: str = '{"text":"hi"}') -> tuple[int, str]:
    """What ``curl --aws-sigv4`` gets; unsigned without credentials."""
    command = ["curl", "-s", "-X", "POST", "-H", "Content-Type: application/json", "-d", body, "-w", "\n%{http_code}", url]
    if credentials:
        command += [
            "--aws-sigv4",
            f"aws:amz:{REGION}:execute-api",
            "--user",
            f"{credentials['AccessKeyId']}:{credentials['SecretAccessKey']}",
        ]
        command += ["-H", f"X-Amz-Security-Token: {credentials['SessionToken']}"]
    text, status = subprocess.run(command, capture_output=True, text=True, check=True).stdout.rsplit("\n", 1)
    return int(status), text


def test_an_api_takes_signed_requests_of_those_who_may_invoke_it(actor: Actor, api: str, emulator: launcher.Emulator) -> None:
    url = f"{emulator.url}/_aws/execute-api/{api}/v1/predict"
    assert curl(url, None)[0] == 403, "unsigned"
    actor.may(allow("ssm:GetParameter"))
    status, text = curl(url, actor.credentials)
    assert status == 403
    assert "execute-api:Invoke" in text
    forged = {**actor.credentials, "SecretAccessKey": "x" * 40}
    actor.may(allow("execute-api:Invoke", f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api}/v1/POST/predict"))
    assert curl(url, forged)[0] == 403, "a signature with another secret"
    assert curl(url, actor.credentials) == (200, f"arn:aws:sts::{ACCOUNT}:assumed-role/{actor.name}/test")
    assert curl(url, actor.credentials, '{"text":"much too long"}')[0] == 400, "the request validator"
    assert curl(f"{emulator.url}/_aws/execute-api/{api}/v1/other", actor.credentials)[0] == 403
