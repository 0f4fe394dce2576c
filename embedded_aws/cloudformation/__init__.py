"""CloudFormation types and properties that ministack lacks, all of them over service operations."""

from __future__ import annotations


def install() -> None:
    """Register the types and the patches."""
    from embedded_aws.cloudformation import (
        autoscaling,
        conditions,
        custom_resources,
        patches,
        registry,
        sagemaker,
        stack_deletion,
        stock_services,
    )
    from embedded_aws.logs import query_definitions

    query_definitions.install()
    registry.install()
    for module in (conditions, sagemaker, autoscaling, stock_services, patches, custom_resources, stack_deletion):
        module.install()
