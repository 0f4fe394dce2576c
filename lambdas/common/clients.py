"""boto3 clients of a function: each is made once, at the first call that needs it."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from lambdas.common.denials import log_denials
from lambdas.common.prediction_store import PredictionStore

RETRIES = Config(retries={"mode": "standard"})


@cache
def client(service: str, config: Config = RETRIES) -> Any:
    """A function that answers a waiting caller gives a ``config`` with shorter waits."""
    made = boto3.client(service, config=config)
    log_denials(made)
    return made


@cache
def prediction_store(table: str, config: Config = RETRIES, guidelines: str = "") -> PredictionStore:
    return PredictionStore(dynamodb_table(table, config), guidelines)


def dynamodb_table(table: str, config: Config = RETRIES) -> Any:
    """boto3's Table resource."""
    resource = boto3.resource("dynamodb", config=config)
    log_denials(resource.meta.client)
    return resource.Table(table)
