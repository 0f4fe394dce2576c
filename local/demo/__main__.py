"""``python -m local.demo``: the loop on this machine, from data to a promoted retrained model, with real parts throughout."""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from local import corpus, deployer, stack_process
from local.demo import build, loop, retraining
from local.demo.report import write_report
from local.demo.session import DemoFailed, Session
from local.demo.summary import Summary
from model_code.data import read_rows
from stacks.settings import SettingsError, load_settings

ROOT = Path(__file__).resolve().parent.parent.parent
RUN_DIR = ROOT / ".run"
EXPECTED = (
    DemoFailed,
    corpus.CorpusUnavailable,
    stack_process.EmulatorError,
    deployer.DeployError,
    deployer.InvalidAssembly,
    SettingsError,
)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description="Run the loop on this machine; needs no AWS account and no Docker")
    parser.add_argument(
        "--seed", type=int, default=1, help="of the data split and the traffic; another seed gives other numbers (default: 1)"
    )
    parser.add_argument("--shuffle-labels", action="store_true", help="learn from shuffled labels, to see the gates refuse the model")
    parser.add_argument("--keep", action="store_true", help="leave everything running and print the URLs; stop it with `make down`")
    parser.add_argument(
        "--port", type=int, default=int(os.environ.get("REVIEWLOOP_PORT", stack_process.DEFAULT_PORT)), help="of the embedded AWS"
    )
    parser.add_argument(
        "--time-scale", type=float, default=0.02, help="real seconds per declared second of waits and alarm periods (default: 0.02)"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "out" / "demo", help="folder of report.html and summary.json")
    return parser.parse_args()


def run(session: Session, arguments: argparse.Namespace, assembly: Path) -> None:
    """Every step in order; raises what EXPECTED names, or build.GatesRefused."""
    summary = session.summary
    with session.step("1 data"):
        dataset = build.make_dataset(session, seed=arguments.seed, labels_shuffled=arguments.shuffle_labels)
    with session.step("2 synth"):
        session.say(f"{build.synthesise(session.settings.stage, assembly)} templates, the same bytes as `make synth`")
    with session.step("3 deploy"):
        build.deploy(session, assembly)
        build.upload(session, dataset)
    with session.step("4 tune, evaluate, gate"):
        packages = build.tune(session, {})["packages"]
        build.read_scores(session, packages)
    with session.step("5 release"):
        build.release(session, packages)
    tweets, held_out = loop.tweets_by_use(arguments.seed)
    with session.step("6 predict and review"):
        loop.load_raters(session, [*corpus.rated_texts("amazon"), *tweets], seed=arguments.seed)
        answered = len(loop.predict(session, build.test_texts(dataset)[: loop.AMAZON_TEXTS]))
        loop.wait_for_reviews(session)
    with session.step("7 drift to tweets"):
        loop.assess_drift(session, "reviews", answered)
        answered += loop.drift_to_tweets(session, [item.row.text for item in tweets])
        loop.wait_for_reviews(session)
    with session.step("8 retrain and roll out"):
        answered += retraining.retrain(session, [item.row.text for item in reversed(tweets)])
        loop.wait_for_reviews(session)
        loop.account(session, answered)
    with session.step("9 before and after"):
        models = retraining.ModelPair(packages[0]["model_package_arn"], summary.retraining["packages"][0]["model_package_arn"])
        domains = {"tweets": held_out, "amazon": read_rows(dataset / "test")}
        retraining.compare_models(session, models, domains, read_rows(dataset / "train"), arguments.seed)
    summary.outcome = {"promoted": "new model promoted"}.get(summary.rollout["outcome"], f"new model {summary.rollout['outcome']}")
    summary.reason = str(summary.rollout["reason"])


def iam_decisions(audit_file: Path) -> dict[str, Any]:
    """How many calls IAM decided on, how many it denied, and which (principal, action) those were."""
    lines = audit_file.read_text(encoding="utf-8").splitlines() if audit_file.exists() else []
    decisions = [json.loads(line) for line in lines]
    denied = [decision for decision in decisions if not decision["allowed"]]
    which = sorted({f"{decision['principal'].rsplit('/', 2)[-2]} {decision['action']}" for decision in denied})
    return {"calls": len(decisions), "denied": len(denied), "denied_calls": which}


def main() -> int:
    arguments, console = parse(), Console()
    summary = Summary(seed=arguments.seed, labels_shuffled=arguments.shuffle_labels)
    emulator = None
    try:
        settings = load_settings(ROOT / "settings" / "dev.yaml")
        left = stack_process.find(RUN_DIR)
        if left is not None:
            console.print("an earlier run is still up: stopping it and starting clean")
            left.stop()
        elif (RUN_DIR / "emulator.json").exists():
            console.print("an earlier run was cut off: starting clean")
        emulator = stack_process.start(RUN_DIR, port=arguments.port, time_scale=arguments.time_scale, region=settings.region)
        session = Session(emulator, settings, arguments.output, summary, console)
        run(session, arguments, ROOT / "cdk.out")
    except build.GatesRefused as refusal:
        summary.outcome, summary.reason = "refused by the gates", str(refusal)
        console.print(f"\n[bold yellow]The gates refused every candidate[/]: {refusal}")
    except EXPECTED as error:
        summary.outcome, summary.reason = "failed", str(error)
        console.print(f"\n[bold red]error[/]: {error}", highlight=False)
    except OSError as error:
        summary.outcome, summary.reason = "failed", _of_the_machine(error)
        console.print(f"\n[bold red]error[/]: {summary.reason}", highlight=False)
    except KeyboardInterrupt:
        summary.outcome, summary.reason = "interrupted", "stopped by the user"
    finally:
        if emulator is not None:
            if not arguments.keep or summary.outcome in ("failed", "interrupted", "unfinished"):
                emulator.stop()
            summary.iam = iam_decisions(emulator.audit_file)
    try:
        summary.write(arguments.output / "summary.json")
        write_report(summary, arguments.output / "report.html")
    except OSError as error:
        console.print(f"[bold red]error[/]: no report: {_of_the_machine(error)}", highlight=False)
        return 1
    console.print(f"\n[bold]{summary.outcome}[/]: {arguments.output / 'report.html'}", highlight=False)
    if arguments.keep and emulator is not None and emulator.is_alive():
        _print_urls(console, session)
    return 1 if summary.outcome in ("failed", "interrupted") else 0


def _of_the_machine(error: OSError) -> str:
    """A fault of the machine in words, with what to do."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"the disk is full{where}: about 2 GB are needed in {ROOT} besides what is installed; make room, then start again"
    return f"{error.strerror or error}{where}"


def _print_urls(console: Console, session: Session) -> None:
    sign = f'--aws-sigv4 "aws:amz:{session.settings.region}:execute-api" --user test:test'
    console.print(f"  worker page  {session.emulator.url}/worker\n  API          {session.predict_url}")
    for body in ('{"text": "I love it"}', '{"text": ""}'):
        console.print(f"  curl {sign} -d '{body}' {session.predict_url}", highlight=False, soft_wrap=True)
    console.print("  stop it with `make down`")


if __name__ == "__main__":
    sys.exit(main())
