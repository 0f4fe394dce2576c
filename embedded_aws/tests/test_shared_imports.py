"""The fork server behind the containers' ``python3``: what it starts is as good as a Python of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from embedded_aws.core import fork_client
from embedded_aws.tools import processes

CORE = Path(__file__).resolve().parents[1] / "core"
SAME = "HF_HUB_OFFLINE=1,OMP_NUM_THREADS=1,MARK="
VARIABLES = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
PROGRAM = """
import decimal, json, os, sys
print(json.dumps({"argv": sys.argv, "cwd": os.getcwd(), "path": sys.path[0], "X": os.environ.get("X"), "HOME": os.environ.get("HOME"),
                  "python": sys.executable, "name": __name__, "shared": "wave" in SHARED, "stdin": sys.stdin.read()}))
print("to stderr", file=sys.stderr)
""".replace("SHARED", "sys.modules")
SLEEPER = "import os, sys, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)\n"
FAILING = """
import importlib, os, sys

core, name = sys.argv[1:]
sys.path.insert(0, core)
import fork_server

place = fork_server.socket.socket if name == "accept" else os
stock, answers = getattr(place, name), iter([True, False])

def fails_the_second_time(*arguments):
    if next(answers, True):
        return stock(*arguments)
    raise OSError(11, "not now")

setattr(place, name, fails_the_second_time)
sys.argv[1:] = ["fork-server", "", "wave"]
fork_server.main()
"""
"""A fork server whose second call of a function fails."""


class Shared:
    """A fork server that has imported ``wave`` (which nothing else imports), and its ``python3``."""

    def __init__(self, folder: Path, failing: str = "") -> None:
        self.folder = folder
        program = ["-c", FAILING, str(CORE), failing] if failing else [str(CORE / "fork_server.py"), "fork-server", "", "wave"]
        self.server = subprocess.Popen([sys.executable, "-I", *program], cwd=folder)
        self.command = [sys.executable, "-IS", str(CORE / "fork_client.py"), "/image/python3", str(folder / "fork-server"), SAME]

    def run(self, *arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *arguments], cwd=self.folder, env={**VARIABLES, **variables}, input=stdin, capture_output=True, text=True,
            timeout=30, check=False,
        )  # fmt: skip

    def start(self, script: str) -> tuple[subprocess.Popen[str], int]:
        """The client and the id of the process it stands for, which the script prints first."""
        client = subprocess.Popen(
            [*self.command, self.write("sleeper.py", script)], env=VARIABLES, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert client.stdout is not None
        return client, int(client.stdout.readline())

    def ask(self, *arguments: str, streams: Sequence[int] = (0, 1, 2)) -> socket.socket:
        """The connection of a client that has sent its request, and so much of its streams."""
        connection = fork_client.connect(str(self.folder / "fork-server"))
        request = {"python": sys.executable, "arguments": arguments, "environment": VARIABLES, "folder": str(self.folder)}
        socket.send_fds(connection, [json.dumps(request).encode()], streams)
        return connection

    def children(self) -> str:
        return Path(f"/proc/{self.server.pid}/task/{self.server.pid}/children").read_text(encoding="ascii")

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text, encoding="utf-8")
        return str(self.folder / name)


@pytest.fixture(scope="module")
def make_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Shared]]:
    made: list[Shared] = []

    def make(failing: str = "") -> Shared:
        shared = Shared(tmp_path_factory.mktemp("shared"), failing)
        made.append(shared)
        deadline = time.monotonic() + 20
        while not (shared.folder / "fork-server").exists():
            assert shared.server.poll() is None and time.monotonic() < deadline, "the fork server did not come up"
            time.sleep(0.01)
        return shared

    yield make
    for shared in made:
        shared.server.kill()
        shared.server.wait()


@pytest.fixture(scope="module")
def shared(make_shared: Callable[..., Shared]) -> Shared:
    return make_shared()


def gone(pid: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while processes.identity(pid) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_program_gets_its_own_arguments_variables_folder_and_streams(shared: Shared) -> None:
    done = shared.run(shared.write("program.py", PROGRAM), "--a", "b c", stdin="given", X="1")
    said = json.loads(done.stdout)
    assert said["argv"] == [str(shared.folder / "program.py"), "--a", "b c"]
    assert (said["cwd"], said["path"]) == (str(shared.folder), str(shared.folder))
    assert (said["X"], said["HOME"], said["stdin"]) == ("1", None, "given")
    assert (said["name"], said["python"]) == ("__main__", "/image/python3")
    assert said["shared"], "the import was not shared"
    assert done.stderr == "to stderr\n"
    assert done.returncode == 0


def test_a_module_runs_as_the_main_program(shared: Shared) -> None:
    shared.write("tool.py", "import sys\nprint(__name__, sys.argv[1:])")
    assert shared.run("-m", "tool", "x").stdout == "__main__ ['x']\n"
    assert shared.run("-m", "json.tool", stdin='{"a": 1}').stdout == '{\n    "a": 1\n}\n'


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("import sys\nsys.exit(7)", 7, ""),
        ("import sys\nsys.exit('no data')", 1, "no data\n"),
        ("raise ValueError('broken')", 1, "ValueError: broken\n"),
        ("import atexit\natexit.register(print, 'last words', file=__import__('sys').stderr)", 0, "last words\n"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, ""),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGABRT)", -signal.SIGABRT, ""),
    ],
)
def test_its_end_is_the_programs_end(shared: Shared, script: str, code: int, said: str) -> None:
    done = shared.run(shared.write("ending.py", script))
    assert done.returncode == code
    assert done.stderr.endswith(said)


def test_threads_are_waited_for(shared: Shared) -> None:
    done = shared.run(shared.write("thread.py", "import threading, time\nthreading.Timer(0.3, print, ['done']).start()"))
    assert done.stdout == "done\n"


def test_processes_share_nothing_that_they_change(shared: Shared) -> None:
    script = shared.write(
        "changing.py",
        "import wave, os\nprint(getattr(wave, 'mark', None), os.environ.get('MARK'))\nwave.mark = 1\nos.environ['MARK'] = '1'",
    )
    assert [shared.run(script).stdout for _ in range(2)] == ["None None\n"] * 2


def test_a_signal_to_the_client_reaches_the_program(shared: Shared) -> None:
    script = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n" + SLEEPER
    client, pid = shared.start(script)
    os.killpg(client.pid, signal.SIGTERM)
    assert client.wait(10) == 3
    assert gone(pid)


def test_what_a_program_leaves_running_ends_with_it(shared: Shared) -> None:
    script = "import os, subprocess\nworker = subprocess.Popen(['sleep', '600'])\nprint(worker.pid, flush=True)"
    client, worker = shared.start(script)
    assert client.wait(10) == 0
    assert gone(worker)


def test_a_killed_client_takes_its_program_along(shared: Shared) -> None:
    client, pid = shared.start(SLEEPER)
    client.kill()
    client.wait(10)
    assert gone(pid)


def test_a_client_that_is_gone_before_its_program_starts_leaves_none_running(make_shared: Callable[..., Shared]) -> None:
    shared = make_shared()
    sleeper = shared.write("sleeper.py", "import time\ntime.sleep(60)")
    for _ in range(15):
        shared.server.send_signal(signal.SIGSTOP)
        shared.ask(sleeper).close()
        shared.server.send_signal(signal.SIGCONT)
        assert shared.ask(sleeper, streams=()).recv(1) == b"", "the server answers in turn"
    deadline = time.monotonic() + 10
    while shared.children() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert shared.children() == ""


def test_a_request_without_all_streams_is_not_answered_and_leaves_none_open(make_shared: Callable[..., Shared]) -> None:
    shared = make_shared()
    descriptors = Path(f"/proc/{shared.server.pid}/fd")
    assert shared.ask("-m", "json.tool", streams=()).recv(1) == b"", "whatever the start had open is closed now"
    before = len(list(descriptors.iterdir()))
    assert shared.ask("-m", "json.tool", streams=(0, 1)).recv(1) == b""
    assert shared.ask("-m", "json.tool", streams=()).recv(1) == b"", "the server answers in turn"
    assert len(list(descriptors.iterdir())) == before


@pytest.mark.parametrize(("call", "is_shared"), [("fork", False), ("pidfd_open", False), ("pipe", False), ("accept", True)])
def test_a_server_that_cannot_fork_now_goes_on(make_shared: Callable[..., Shared], call: str, is_shared: bool) -> None:
    shared = make_shared(call)
    client, pid = shared.start(SLEEPER)
    program = shared.write("program.py", PROGRAM)
    told = json.loads(shared.run(program, stdin="given").stdout)
    assert (told["shared"], told["stdin"]) == (is_shared, "given")
    assert json.loads(shared.run(program).stdout)["shared"]
    assert shared.children().split() == [str(pid)], "the one before lives on"
    client.kill()
    assert gone(pid)


def test_a_killed_server_takes_every_program_along(make_shared: Callable[..., Shared]) -> None:
    shared = make_shared()
    client, pid = shared.start(SLEEPER)
    shared.server.kill()
    assert gone(pid)
    assert client.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize("variables", [{"OMP_NUM_THREADS": "2"}, {"HF_HUB_OFFLINE": "0"}, {"MARK": "1"}, {"PYTHONUTF8": "1"}])
def test_other_import_time_variables_get_a_python_of_their_own(shared: Shared, variables: dict[str, str]) -> None:
    assert not json.loads(shared.run(shared.write("program.py", PROGRAM), **variables).stdout)["shared"]


def test_variables_that_python_itself_reads_are_honoured(shared: Shared) -> None:
    program = shared.write("program.py", PROGRAM)
    assert json.loads(shared.run(program, PYTHONUNBUFFERED="1", PYTHONUTF8="", PYTHON_VERSION="3", PYTHON="python3").stdout)["shared"]
    seeds = [shared.run(shared.write("seed.py", "print(hash('one text'))"), PYTHONHASHSEED=seed).stdout for seed in ("0", "0", "1")]
    assert seeds[0] == seeds[1] != seeds[2]
    script = shared.write("zone.py", "import sys, time\nprint(time.strftime('%Z'), 'wave' in sys.modules)")
    assert shared.run(script, TZ="XYZ-5").stdout == "XYZ True\n"


def test_what_cannot_be_forked_gets_a_python_of_its_own(shared: Shared) -> None:
    assert shared.run("-c", "import sys; print('wave' in sys.modules, sys.argv[1:])", "x").stdout == "False ['x']\n"
    assert shared.run("--version").stdout.startswith("Python 3")


def test_without_a_server_a_python_of_its_own_runs(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    command = [sys.executable, "-IS", str(CORE / "fork_client.py"), "/image/python3", str(tmp_path / "fork-server"), SAME, str(program)]
    done = subprocess.run(command, env=VARIABLES, input="", capture_output=True, text=True, timeout=30, check=True)
    assert not json.loads(done.stdout)["shared"]


def test_a_long_socket_path_works(tmp_path: Path) -> None:
    folder = tmp_path / ("long-" * 30)
    folder.mkdir()
    shared = Shared(folder)
    try:
        deadline = time.monotonic() + 20
        while not (folder / "fork-server").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert json.loads(shared.run(shared.write("program.py", PROGRAM)).stdout)["shared"]
    finally:
        shared.server.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            shared.server.wait(5)
