"""Start the embedded AWS: ``.venv-emulator/bin/python -m embedded_aws.server`` (settings come from the environment).

Binds 127.0.0.1 only and enforces IAM. ``embedded_aws/tools/launcher.py`` starts and stops it for the commands.
"""

from __future__ import annotations

import atexit
import importlib
import os
import sys

os.environ["BIND_HOST"] = "127.0.0.1"
os.environ["MINISTACK_HOST"] = "127.0.0.1"
os.environ.setdefault("GATEWAY_PORT", "4566")
os.environ.setdefault("AUTH", "true")
os.environ.setdefault("IOT_MTLS_ENABLED", "0")
os.environ.setdefault("SFTP_ENABLED", "0")

from embedded_aws.server import pinned

MODULES = (
    "embedded_aws.containers.image_python",
    "embedded_aws.iam",
    "embedded_aws.cloudformation",
    "embedded_aws.step_functions.redrive",
    "embedded_aws.step_functions.executions",
    "embedded_aws.lambda_.exceptions",
    "embedded_aws.lambda_.log_ends",
    "embedded_aws.lambda_.table_streams",
    "embedded_aws.lambda_.metrics",
    "embedded_aws.lambda_.packages",
    "embedded_aws.lambda_.shared_runtime",
    "embedded_aws.dynamodb.conditions",
    "embedded_aws.sqs",
    "embedded_aws.core.deletion_protection",
    "embedded_aws.cloudwatch.embedded_metrics",
    "embedded_aws.cloudwatch.alarms",
    "embedded_aws.athena.queries",
    "embedded_aws.eventbridge.schedules",
    "embedded_aws.application_autoscaling.scaling",
    "embedded_aws.sagemaker",
    "embedded_aws.cognito.passwords",
    "embedded_aws.cognito.software_tokens",
    "embedded_aws.cognito.managed_login",
    "embedded_aws.worker_page",
    "embedded_aws.service_quotas.quotas",
    "embedded_aws.ecr.images",
    "embedded_aws.server.unknown_services",
    "embedded_aws.api_gateway",
    "embedded_aws.cloudfront",
    "embedded_aws.public_hosts",
    "embedded_aws.server.http_guard",
    "embedded_aws.server.http_server",
)
"""Each has ``install()``: it puts its hooks into ministack, and nothing else happens on import."""


_SWITCH_SECONDS = 0.0005
"""After how long a computing thread hands on the interpreter. With Python's 5 ms, each write to a socket or a file makes the thread that
answers requests wait as long for its next turn."""


def main() -> None:
    sys.setswitchinterval(_SWITCH_SECONDS)
    pinned.require_pinned_version()
    from ministack import app

    from embedded_aws.containers import image_python
    from embedded_aws.core import api, background
    from embedded_aws.lambda_ import shared_runtime

    for name in MODULES:
        importlib.import_module(name).install()
    for service in ("sagemaker", "application-autoscaling"):
        api.install(service)
    reset = app._reset_all_state

    def reset_all() -> object:
        background.stop_all()
        api.Records.reset_all()
        done = reset()
        image_python.install()
        shared_runtime.install()
        return done

    app._reset_all_state = reset_all
    atexit.register(background.stop_all)
    app.main()


if __name__ == "__main__":
    main()
