"""AWS clients of a function: each is made once, at the first call that needs it.

They come from botocore, on which boto3 stands: a function whose caller waits must not load boto3, which is only needed for tables.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.loaders import JSONFileLoader, Loader
from botocore.session import Session, get_session

from lambdas.common.denials import log_denials

if TYPE_CHECKING:
    from lambdas.common.prediction_store import PredictionStore

RETRIES = Config(retries={"mode": "standard"})
_making = threading.RLock()
"""A session makes one client at a time: ``predict`` reads the experiment in a thread of its own."""


class _Files(JSONFileLoader):  # type: ignore[misc]  # botocore has no types
    """Reads botocore's data into plain dictionaries, which keep their order as well and take a third of the time."""

    def _load_file(self, full_path: str, open_method: Callable[..., Any]) -> Any:
        if not Path(full_path).is_file():
            return None
        with open_method(full_path, "rb") as stream:
            return json.loads(stream.read())


class _Models(Loader):  # type: ignore[misc]  # botocore has no types
    """botocore's own data. Every folder counts as a service: botocore would look into 400 of them before it makes a client.

    A folder without the wanted file is told of when the file is asked for.
    """

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002  (the kind of file is not looked at)
        return sorted(entry.name for path in map(Path, self.search_paths) if path.is_dir() for entry in path.iterdir())


@cache
def session() -> Session:
    """The one session of this process; its credentials and region come from the environment. Called with ``_making`` held."""
    made = get_session()
    extra = made.get_config_variable("data_path")
    made.register_component("data_loader", _Models(extra_search_paths=extra.split(os.pathsep) if extra else None, file_loader=_Files()))
    return made


@cache
def client(service: str, config: Config = RETRIES) -> Any:
    """A function that answers a waiting caller gives a ``config`` with shorter waits."""
    with _making:
        made = session().create_client(service, config=config)
    log_denials(made)
    return made


@cache
def prediction_store(table: str, config: Config = RETRIES, guidelines: str = "") -> PredictionStore:
    from lambdas.common.prediction_store import PredictionStore

    return PredictionStore(dynamodb_table(table, config), guidelines)


@cache
def _dynamodb(config: Config) -> Any:
    import boto3

    with _making:
        resource = boto3.Session(botocore_session=session()).resource("dynamodb", config=config)
    log_denials(resource.meta.client)
    return resource


def dynamodb_table(table: str, config: Config = RETRIES) -> Any:
    """boto3's Table resource."""
    return _dynamodb(config).Table(table)
