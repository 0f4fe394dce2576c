"""``POST /_ministack/reset``: the state of a new emulator, and no process of the old one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from embedded_aws.testing import hosting as hosting_setup
from embedded_aws.testing import jobs as job_setup
from embedded_aws.testing.reviews import Portal, Review
from embedded_aws.tools import launcher, processes

SERVING, FORK_SERVER, JOB = b"embedded_aws.containers.serving", b"fork_server.py", b"embedded_aws.containers.training_toolkit"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Review]:
    running = launcher.start(tmp_path / "run", port=launcher.free_port(), time_scale=0.02, preload=launcher.IMAGE_MODULES)
    try:
        yield Review(running)
    finally:
        running.stop()


def of(own: Review, program: bytes) -> set[int]:
    """The processes that the emulator itself has started to run a program; what the fork server forks has its command line."""
    found = set()
    for pid in processes.descendants(own.emulator.pid):
        try:
            command, status = (Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "status"))
        except OSError:
            continue
        if program in command and f"PPid:\t{own.emulator.pid}\n".encode() in status:
            found.add(pid)
    return found


def endpoint(own: Review) -> str:
    hosting = hosting_setup.prepare(own.client, own.make_role, "reset-hosting")
    model = hosting.model("a")
    return hosting.endpoint(hosting.config([{"name": "champion", "model": model, "count": 2}]))


def test_no_process_comes_back_after_a_reset(own: Review, wait_until: Callable[..., Any]) -> None:
    endpoint(own)
    jobs = job_setup.prepare(own.client, own.make_role, "reset-jobs")
    jobs.start("training", jobs.training("import time\ntime.sleep(600)"))
    wait_until(lambda: of(own, JOB))
    servers = of(own, FORK_SERVER)
    assert len(of(own, SERVING)) == 2 and len(servers) == 1

    Portal(own).fetch("/_ministack/reset", b"")

    until = time.monotonic() + 2  # several health checks
    while time.monotonic() < until:
        assert (of(own, SERVING), of(own, JOB)) == (set(), set())
        time.sleep(0.1)
    assert len(of(own, FORK_SERVER)) == 1 and not of(own, FORK_SERVER) & servers
    endpoint(own)
    assert len(of(own, SERVING)) == 2


def test_nobody_is_signed_in_after_a_reset(own: Review) -> None:
    own.set_up().add_worker("ann")
    portal = Portal(own)
    portal.sign_in("ann")
    assert portal.fetch("/worker/next")[0] == 200

    Portal(own).fetch("/_ministack/reset", b"")

    assert portal.fetch("/worker/next")[0] != 200
