"""What a request needs allowed: actions, resource ARNs, condition keys and passed roles. Pure.

Only what ministack does not know, or knows differently from AWS's service authorization reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Context = dict[str, Any]

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/.+")
_ROLE_MEMBERS = {"RoleArn", "ExecutionRoleArn", "RoleARN", "roleArn", "Role", "roleARN"}
_PASSED_TO = {
    "sagemaker": "sagemaker.amazonaws.com",
    "lambda": "lambda.amazonaws.com",
    "states": "states.amazonaws.com",
    "events": "events.amazonaws.com",
    "scheduler": "scheduler.amazonaws.com",
    "cloudformation": "cloudformation.amazonaws.com",
    "application-autoscaling": "application-autoscaling.amazonaws.com",
}
_PASSING_VERBS = ("Create", "Update", "Put", "Register", "Delete")
_VERBS = re.compile(r"(Create|Describe|Delete|Update|Stop|Start|BatchDescribe)([A-Z].*)")
_SAGEMAKER_KINDS = {
    "HyperParameterTuningJob": "hyper-parameter-tuning-job",
    "EndpointWeightsAndCapacities": "endpoint",
    "FlowDefinition": "flow-definition",
    "HumanTaskUi": "human-task-ui",
    "ModelPackageGroupPolicy": "model-package-group",
}
_ENDPOINT_PATH = re.compile(r"/endpoints/([^/]+)/(invocations|async-invocations|invocations-response-stream)")
_RUNTIME_ACTIONS = {
    "invocations": "InvokeEndpoint",
    "async-invocations": "InvokeEndpointAsync",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}
_LOG_STREAM_ACTIONS = ("CreateLogStream", "PutLogEvents", "GetLogEvents", "DeleteLogStream")
_GLUE_CATALOG = re.compile(
    r"(Get|Create|Update|Delete|Batch\w*|Search)(Database|Table|Partition|UserDefinedFunction)s?(Version|Index|es|s)*$"
)


@dataclass(frozen=True)
class Check:
    """One thing that must be allowed."""

    action: str
    resource: str = "*"
    context: Context = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """A request, as far as authorization looks at it; ``service`` is the SigV4 scope, ``body`` the parsed input."""

    service: str
    operation: str
    body: Mapping[str, Any]
    region: str
    account: str
    method: str = "POST"
    path: str = "/"
    query: Mapping[str, Any] = field(default_factory=dict)

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


def runtime_action(method: str, path: str) -> str | None:
    """The action of a SageMaker or A2I *runtime* path; None for the control plane."""
    invoked = _ENDPOINT_PATH.fullmatch(path)
    if invoked:
        return f"sagemaker:{_RUNTIME_ACTIONS[invoked[2]]}"
    if not path.startswith("/human-loops"):
        return None
    if path == "/human-loops/stop":
        return "sagemaker:StopHumanLoop"
    collection = path.rstrip("/") == "/human-loops"
    by_method = {"POST": "StartHumanLoop", "DELETE": "DeleteHumanLoop", "GET": "ListHumanLoops" if collection else "DescribeHumanLoop"}
    return f"sagemaker:{by_method[method]}" if method in by_method else None


def resources(call: Call) -> list[str] | None:
    """Every resource that a call's action is checked on; None where ministack's own answer stands."""
    by_service = {
        "sagemaker": _sagemaker,
        "application-autoscaling": _application_autoscaling,
        "athena": _athena,
        "glue": _glue,
        "ssm": _ssm,
        "events": _events,
        "scheduler": _scheduler,
        "logs": _logs,
        "monitoring": _cloudwatch,
    }
    find = by_service.get(call.service)
    return find(call) if find else None


def _sagemaker(call: Call) -> list[str]:
    invoked = _ENDPOINT_PATH.fullmatch(call.path)
    if invoked:
        return [call.arn("sagemaker", f"endpoint/{invoked[1].lower()}")]
    if call.path.startswith("/human-loops"):
        return [_human_loop(call)]
    if call.body.get("ResourceArn"):
        return [str(call.body["ResourceArn"])]
    names = {"Endpoint": call.body.get("EndpointName"), "EndpointConfig": call.body.get("EndpointConfigName")}
    if call.operation in ("CreateEndpoint", "UpdateEndpoint"):
        kinds = {"Endpoint": "endpoint", "EndpointConfig": "endpoint-config"}
        return [call.arn("sagemaker", f"{kinds[kind]}/{str(name).lower()}") for kind, name in names.items() if name]
    if call.operation == "ListTrainingJobsForHyperParameterTuningJob":
        return [_sagemaker_named(call, "HyperParameterTuningJob")]
    matched = _VERBS.fullmatch(call.operation)
    return [_sagemaker_named(call, matched[2])] if matched else [_sagemaker_policy(call)]


def _human_loop(call: Call) -> str:
    if call.path.rstrip("/") == "/human-loops":
        flow = call.body.get("FlowDefinitionArn")
        return str(flow).lower() if flow else "*"
    name = call.body.get("HumanLoopName") or call.path.rsplit("/", 1)[-1]
    return call.arn("sagemaker", f"human-loop/{name}")


def _sagemaker_named(call: Call, kind: str) -> str:
    if kind == "ModelPackage":
        return _model_package(call)
    member = {"EndpointWeightsAndCapacities": "EndpointName"}.get(kind, f"{kind}Name")
    name = call.body.get(member)
    if not name:
        return "*"
    if str(name).startswith("arn:"):
        return str(name)
    return call.arn("sagemaker", f"{_SAGEMAKER_KINDS.get(kind) or _kebab(kind)}/{str(name).lower()}")


def _model_package(call: Call) -> str:
    """A version has no number yet when it is created: it is checked on its group's packages."""
    given = call.body.get("ModelPackageArn") or call.body.get("ModelPackageName")
    if given:
        return str(given) if str(given).startswith("arn:") else call.arn("sagemaker", f"model-package/{str(given).lower()}")
    group = str(call.body.get("ModelPackageGroupName", "")).rsplit("/", 1)[-1].lower()
    return call.arn("sagemaker", f"model-package/{group}/*") if group else "*"


def _sagemaker_policy(call: Call) -> str:
    """Put/Get/DeleteModelPackageGroupPolicy name a group; lists name nothing."""
    if call.operation.endswith("ModelPackageGroupPolicy") and call.body.get("ModelPackageGroupName"):
        return call.arn("sagemaker", f"model-package-group/{str(call.body['ModelPackageGroupName']).lower()}")
    return "*"


def _kebab(kind: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", kind).lower()


def _application_autoscaling(call: Call) -> list[str]:
    if call.operation.startswith("Describe") or not call.body.get("ResourceId"):
        return ["*"]
    return [call.arn("application-autoscaling", f"scalable-target/{call.body['ResourceId']}")]


def _athena(call: Call) -> list[str] | None:
    if call.operation == "StartQueryExecution":
        return [call.arn("athena", f"workgroup/{call.body.get('WorkGroup') or 'primary'}")]
    return None


def _glue(call: Call) -> list[str] | None:
    """Catalog operations are checked on the catalog, the database and the table at once."""
    if not _GLUE_CATALOG.match(call.operation):
        return None
    target = call.body.get("DatabaseInput" if "Database" in call.operation else "TableInput", {})
    own_name = call.body.get("Name") or (target.get("Name") if isinstance(target, Mapping) else None)
    database = own_name if "Database" in call.operation else call.body.get("DatabaseName")
    found = [call.arn("glue", "catalog")]
    if database:
        found.append(call.arn("glue", f"database/{database}"))
    if database and "Database" not in call.operation:
        found.append(call.arn("glue", f"table/{database}/{call.body.get('TableName') or own_name or '*'}"))
    return found


def _ssm(call: Call) -> list[str] | None:
    names = call.body.get("Names") if call.operation in ("GetParameters", "DeleteParameters") else None
    if call.operation == "GetParametersByPath":
        names = [str(call.body.get("Path", "/")).rstrip("/")]
    if not names:
        return None
    return [call.arn("ssm", f"parameter/{str(name).lstrip('/')}") for name in names]


def _events(call: Call) -> list[str] | None:
    """Rules of the default bus are named without it."""
    if call.operation == "PutEvents":
        return None
    name = call.body.get("Rule") or (call.body.get("Name") if "Rule" in call.operation else None)
    if not name:
        return None
    bus = str(call.body.get("EventBusName") or "default").rsplit("/", 1)[-1]
    return [call.arn("events", f"rule/{name}" if bus == "default" else f"rule/{bus}/{name}")]


def _scheduler(call: Call) -> list[str] | None:
    matched = re.fullmatch(r"/schedules/([^/]+)", call.path)
    if not matched:
        return None
    asked = call.query.get("groupName") or call.body.get("GroupName") or "default"
    group = asked[0] if isinstance(asked, list) else asked
    return [call.arn("scheduler", f"schedule/{group}/{matched[1]}")]


def _logs(call: Call) -> list[str] | None:
    if call.operation not in _LOG_STREAM_ACTIONS or not call.body.get("logGroupName"):
        return None
    return [call.arn("logs", f"log-group:{call.body['logGroupName']}:log-stream:{call.body.get('logStreamName', '')}")]


def _cloudwatch(call: Call) -> list[str] | None:
    names = call.body.get("AlarmNames")
    if not names or not call.operation.endswith(("Alarms", "AlarmActions")):
        return None
    return [call.arn("cloudwatch", f"alarm:{name}") for name in names]


def context(call: Call) -> Context:
    """Condition keys of a call that ministack does not supply."""
    if call.service == "monitoring" and call.operation == "PutMetricData":
        return {"cloudwatch:namespace": call.body.get("Namespace", "")}
    if call.service == "cloudformation" and call.body.get("RoleARN"):
        return {"cloudformation:RoleArn": call.body["RoleARN"]}
    return {}


def passed_roles(call: Call) -> list[Check]:
    """``iam:PassRole`` of every role that the call hands to a service."""
    service = _PASSED_TO.get(call.service)
    if service is None or not call.operation.startswith(_PASSING_VERBS):
        return []
    roles = dict.fromkeys(_roles_in(call.body))
    return [Check("iam:PassRole", role, {"iam:PassedToService": service}) for role in roles]


def _roles_in(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key in _ROLE_MEMBERS and isinstance(item, str) and _ROLE.fullmatch(item):
                yield item
            else:
                yield from _roles_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _roles_in(item)
