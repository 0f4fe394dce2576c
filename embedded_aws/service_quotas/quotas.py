"""Service Quotas: what an account may have, by name, for SageMaker's instance types and Lambda's concurrency.

Nothing here is enforced. Every value is :data:`DEFAULT` at first; RequestServiceQuotaIncrease is granted at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from ministack.core import responses

from embedded_aws.core import api

DEFAULT = 20.0
CONCURRENT_EXECUTIONS = 1_000.0
"""The value of an older account. A new account may have as few as 10."""
_USES = {
    "TrainingInstanceType": "training job usage",
    "ProcessingInstanceType": "processing job usage",
    "ProductionVariantInstanceType": "endpoint usage",
}
_granted = responses.AccountRegionScopedDict()


def _names(service: str) -> Iterator[str]:
    if service == "lambda":
        yield "Concurrent executions"
    if service == "sagemaker":
        model = api.service_model("sagemaker")
        for shape, use in _USES.items():
            for kind in model.shape_for(shape).enum:
                yield f"{kind} for {use}"


def _code(name: str) -> str:
    """Service Quotas numbers its quotas; these numbers are not AWS's."""
    return "L-" + hashlib.sha256(name.encode()).hexdigest()[:8].upper()


def _quota(service: str, name: str) -> api.Response:
    first = CONCURRENT_EXECUTIONS if service == "lambda" else DEFAULT
    code, region, account = _code(name), responses.get_region(), responses.get_account_id()
    return {
        "ServiceCode": service,
        "ServiceName": service,
        "QuotaArn": f"arn:aws:servicequotas:{region}:{account}:{service}/{code}",
        "QuotaCode": code,
        "QuotaName": name,
        "Value": _granted.get(code, first),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }


def _all(service: str) -> list[api.Response]:
    found = [_quota(service, name) for name in _names(service)]
    if not found:
        raise api.ApiError("NoSuchResourceException", f"The embedded AWS has no quotas of {service}; it has those of lambda and sagemaker")
    return found


@api.operation("service-quotas", "ListServiceQuotas")
def list_service_quotas(request: api.Request) -> api.Response:
    return api.paginate(_all(request["ServiceCode"]), {"MaxResults": 100, **request}, "Quotas")


@api.operation("service-quotas", "GetServiceQuota")
def get_service_quota(request: api.Request) -> api.Response:
    for quota in _all(request["ServiceCode"]):
        if quota["QuotaCode"] == request["QuotaCode"]:
            return {"Quota": quota}
    raise api.ApiError("NoSuchResourceException", f"There is no quota {request['QuotaCode']} of {request['ServiceCode']}")


@api.operation("service-quotas", "RequestServiceQuotaIncrease")
def request_service_quota_increase(request: api.Request) -> api.Response:
    quota = get_service_quota(request)["Quota"]
    if request["DesiredValue"] <= quota["Value"]:
        raise api.ApiError("IllegalArgumentException", f"{quota['QuotaName']} is {quota['Value']:g} already: ask for more than that")
    _granted[quota["QuotaCode"]] = request["DesiredValue"]
    asked = {key: quota[key] for key in ("ServiceCode", "ServiceName", "QuotaCode", "QuotaName", "QuotaArn", "Unit", "GlobalQuota")}
    return {"RequestedQuota": {**asked, "Id": quota["QuotaCode"], "DesiredValue": request["DesiredValue"], "Status": "APPROVED"}}


def install() -> None:
    api.install("service-quotas", scope="servicequotas")
