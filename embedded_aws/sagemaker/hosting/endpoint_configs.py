"""Endpoint configurations: immutable; what an endpoint runs and captures."""

from __future__ import annotations

import datetime as dt

from embedded_aws.core.api import Records, Request, Response, operation, validation_error
from embedded_aws.sagemaker.hosting import hosting_tags
from embedded_aws.sagemaker.hosting.models import MODELS
from embedded_aws.sagemaker.listing import page

ENDPOINT_CONFIGS = Records("endpoint-config")


@operation("sagemaker", "CreateEndpointConfig")
def create_endpoint_config(request: Request) -> Response:
    names = [variant["VariantName"] for variant in request["ProductionVariants"]]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise validation_error(f"Production variant names must be unique, but these are repeated: {', '.join(repeated)}.")
    if request.get("ShadowProductionVariants"):
        raise validation_error("Shadow variants are not part of the embedded AWS.")
    for variant in request["ProductionVariants"]:
        _check_variant(variant)
    name = request["EndpointConfigName"]
    described = {**request, "EndpointConfigArn": ENDPOINT_CONFIGS.arn(name), "CreationTime": dt.datetime.now(dt.UTC)}
    described["ProductionVariants"] = [{"InitialVariantWeight": 1.0, **variant} for variant in request["ProductionVariants"]]
    ENDPOINT_CONFIGS.add(name, described)
    hosting_tags.attach(ENDPOINT_CONFIGS.arn(name), request)
    return {"EndpointConfigArn": ENDPOINT_CONFIGS.arn(name)}


def _check_variant(variant: Request) -> None:
    name = variant["VariantName"]
    if "ServerlessConfig" in variant:
        raise validation_error(f"Variant {name}: serverless variants are not part of the embedded AWS.")
    if "ManagedInstanceScaling" in variant:
        raise validation_error("ManagedInstanceScaling is only supported for inference component endpoints.")
    for field in ("ModelName", "InstanceType", "InitialInstanceCount"):
        if field not in variant:
            raise validation_error(f"Variant {name} must have a {field}.")
    MODELS.need(variant["ModelName"])


@operation("sagemaker", "DescribeEndpointConfig")
def describe_endpoint_config(request: Request) -> Response:
    described = dict(ENDPOINT_CONFIGS.need(request["EndpointConfigName"]))
    described.pop("Tags", None)
    return described


@operation("sagemaker", "ListEndpointConfigs")
def list_endpoint_configs(request: Request) -> Response:
    keys = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
    summaries = [{key: record[key] for key in keys} for _, record in ENDPOINT_CONFIGS.items()]
    return page(summaries, request, "EndpointConfigs", name="EndpointConfigName", sort_order="Descending")


@operation("sagemaker", "DeleteEndpointConfig")
def delete_endpoint_config(request: Request) -> Response:
    """Never refused, as in AWS: an endpoint whose configuration is deleted in mid-update breaks."""
    ENDPOINT_CONFIGS.remove(request["EndpointConfigName"])
    hosting_tags.detach(ENDPOINT_CONFIGS.arn(request["EndpointConfigName"]))
    return {}
