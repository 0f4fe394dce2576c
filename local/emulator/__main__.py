"""Start the embedded AWS: ``.venv-emulator/bin/python -m local.emulator`` (settings come from the environment).

Binds 127.0.0.1 only and enforces IAM. ``local/stack_process.py`` starts and stops it for the commands.
"""

from __future__ import annotations

import atexit
import importlib
import os

os.environ["BIND_HOST"] = "127.0.0.1"
os.environ["MINISTACK_HOST"] = "127.0.0.1"
os.environ.setdefault("GATEWAY_PORT", "4566")
os.environ.setdefault("AUTH", "true")
os.environ.setdefault("IOT_MTLS_ENABLED", "0")
os.environ.setdefault("SFTP_ENABLED", "0")

from local.emulator import pinned

MODULES = (
    "local.emulator.container_python",
    "local.emulator.iam",
    "local.emulator.cloudformation",
    "local.emulator.redrive",
    "local.emulator.stepfunctions",
    "local.emulator.lambdas",
    "local.emulator.table_streams",
    "local.emulator.lambda_metrics",
    "local.emulator.sqs",
    "local.emulator.deletion_protection",
    "local.emulator.embedded_metrics",
    "local.emulator.alarms",
    "local.emulator.athena",
    "local.emulator.schedules",
    "local.emulator.autoscaling",
    "local.emulator.sagemaker",
    "local.emulator.cognito_passwords",
    "local.emulator.worker_page",
    "local.emulator.service_quotas",
    "local.emulator.ecr_images",
    "local.emulator.unknown_services",
    "local.emulator.http_guard",
)
"""Each has ``install()``: it puts its hooks into ministack, and nothing else happens on import."""


def main() -> None:
    pinned.require_pinned_version()
    from ministack import app

    from local.emulator import api, background, container_python

    for name in MODULES:
        importlib.import_module(name).install()
    for service in ("sagemaker", "application-autoscaling"):
        api.install(service)
    reset = app._reset_all_state

    def reset_all() -> object:
        background.stop_all()
        api.Records.reset_all()
        done = reset()
        container_python.install()
        return done

    app._reset_all_state = reset_all
    atexit.register(background.stop_all)
    app.main()


if __name__ == "__main__":
    main()
