"""boto3 clients of a function: each is made once, at the first call that needs it."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from lambdas.common.predictions import PredictionStore

RETRIES = Config(retries={"mode": "standard"})


@cache
def client(service: str, config: Config = RETRIES) -> Any:
    """A function that answers a waiting caller gives a ``config`` with shorter waits."""
    return boto3.client(service, config=config)


@cache
def prediction_store(table: str, config: Config = RETRIES) -> PredictionStore:
    return PredictionStore(boto3.resource("dynamodb", config=config).Table(table))
