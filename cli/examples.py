"""One example of each command, which ``--help`` shows at its end."""

from __future__ import annotations

CALL = ".venv/bin/python -m cli"
EXAMPLES = {
    "doctor": "doctor --stage newacct",
    "smoke": "smoke --only prediction --only drift --stage dev",
    "label start": 'label reviews.csv --labels "Good,Bad" --text-column comment --stage newacct',
    "label redrive": "label redrive reviews-1 --stage dev",
    "release start": 'release start 7 --reason "trained on the reviews of May" --watch --stage dev',
    "release status": "release status --stage dev",
    "release watch": "release watch --html out/rollout.html --stage dev",
    "release pause": 'release pause --reason "the shop has a sale" --stage dev',
    "release resume": 'release resume --reason "the sale is over" --stage dev',
    "release approve": 'release approve --reason "the disputed texts are read" --stage dev',
    "release abort": 'release abort --reason "wrong package" --stage dev',
    "release promote": 'release promote 6 --reason "back to the earlier champion" --stage dev',
    "release history": "release history --limit 5 --stage dev",
    "release explain": "release explain --stage dev",
    "release redrive": "release redrive --stage dev",
    "release reregister": "release reregister --stage dev",
    "tune start": "tune start --watch --stage dev",
    "tune retrain": "tune retrain --watch --stage dev",
    "tune watch": "tune watch --stage dev",
    "tune history": "tune history --limit 5 --stage dev",
    "tune report": "tune report --output out/reports --stage dev",
    "tune redrive": "tune redrive 1f0c --stage dev",
    "review people list": "review people list --stage newacct",
    "review people add": "review people add ada --email ada@example.com --stage newacct",
    "review people invite": "review people invite ada --stage newacct",
    "review people reset-authenticator": "review people reset-authenticator ada --stage newacct",
    "review people remove": "review people remove ada --disable --stage newacct",
    "review gold set": "review gold set gold.csv --stage newacct",
    "review gold results": "review gold results --stage newacct",
    "labels export": "labels export --format csv --out labels.csv --since 2026-11-23 --stage newacct",
    "labels report": "labels report --html labels.html --stage newacct",
    "labels correct": 'labels correct 0123456789abcdef0123456789abcdef good --reason "irony" --stage newacct',
    "labels forget": "labels forget customer-17 --stage newacct",
}
"""Command -> an example of its arguments."""


def shown(path: str) -> str:
    """What ``--help`` shows of a command."""
    return f"Example: {CALL} {EXAMPLES[path]}"
