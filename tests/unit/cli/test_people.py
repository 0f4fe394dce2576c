"""``review people``: what each command changes in a user pool, what it refuses, and what docs/commands.md says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cli.console import WRONG_OPTIONS, NotDone
from cli.main import app, people
from cli.people import changes
from cli.people.changes import email_fault, name_fault
from cli.people.pool import NEVER_SIGNED_IN, Person

DOCS = Path(__file__).resolve().parents[3] / "docs"
ADA = Person("ada", "sub-ada", "ada@example.com", ("reviewers",), NEVER_SIGNED_IN, enabled=True, mfa=False)


class Pool:
    """A user pool in memory; ``calls`` are the changes in their order."""

    id = "us-east-1_pool"

    def __init__(self, *persons: Person, groups: tuple[str, ...] = ("reviewers", "leads")) -> None:
        self.persons = {one.name: one for one in persons}
        self._groups, self.calls = groups, list[str]()

    def find(self, name: str) -> Person | None:
        return self.persons.get(name)

    def groups(self) -> set[str]:
        return set(self._groups)

    def create(self, name: str, email: str) -> None:
        self.calls.append("create")
        self.persons[name] = Person(name, f"sub-{name}", email, (), NEVER_SIGNED_IN, enabled=True, mfa=False)

    def join(self, name: str, group: str) -> None:
        self.calls.append(f"join {group}")
        self.persons[name] = replace(self.persons[name], groups=(*self.persons[name].groups, group))

    def enable(self, name: str) -> None:
        self.calls.append("enable")
        self.persons[name] = replace(self.persons[name], enabled=True)

    def __getattr__(self, operation: str) -> Any:
        return lambda _, *more: self.calls.append(" ".join((operation, *more)))


def ending(pool: Any) -> Callable[[Person], None]:
    return lambda person: pool.calls.append(f"end sessions of {person.sub}")


def pool_of(*persons: Person, **more: Any) -> Any:
    return Pool(*persons, **more)


@pytest.mark.parametrize("name", ["", "a da", "ada@example.com", "ada\n", "a" * 129])
def test_a_name_that_cognito_would_refuse_is_refused_by_name(name: str) -> None:
    assert repr(name) in (name_fault(name) or "")


@pytest.mark.parametrize(
    "email", ["", "ada", "ada@", "@example.com", "ada@example", "a da@example.com", "ada@-x.com", "ada@example..com", f"{'a' * 65}@x.com",
              "ada@example.com\n", "ada@example.com,bob@example.com", f"a@{'x' * 63}.{'y' * 63}.{'z' * 63}.{'w' * 63}.com"],
)  # fmt: skip
def test_a_bad_mail_address_is_refused_by_name(email: str) -> None:
    assert repr(email) in (email_fault(email) or "")


@pytest.mark.parametrize("email", ["ada@example.com", "ada.l+review@mail.example.co.uk", "o'neil@xn--bcher-kva.example"])
def test_a_mail_address_is_taken(email: str) -> None:
    assert email_fault(email) is None
    assert name_fault("Zoë_1") is None


def test_adding_makes_the_account_once_and_later_only_what_is_missing() -> None:
    pool = pool_of()
    changes.add(pool, "ada", "ada@example.com", ["reviewers"])
    assert changes.add(pool, "ada", "Ada@example.com", ["reviewers"]) == []
    assert changes.add(pool, "ada", "ada@example.com", ["reviewers", "leads"]) == ["added to the group leads"]
    assert pool.calls == ["create", "join reviewers", "join leads"]


def test_adding_enables_somebody_who_was_disabled() -> None:
    pool = pool_of(replace(ADA, groups=(), enabled=False))
    assert changes.add(pool, "ada", ADA.email, ["reviewers"]) == ["enabled the account", "added to the group reviewers"]


def test_nothing_is_made_where_a_group_is_missing_or_the_name_is_somebody_elses() -> None:
    pool = pool_of(ADA, groups=("reviewers",))
    with pytest.raises(NotDone, match="no group leads: deploy the review stack"):
        changes.add(pool, "bob", "bob@example.com", ["reviewers", "leads"])
    with pytest.raises(NotDone, match=r"has the mail address ada@example\.com, not eve@example\.com"):
        changes.add(pool, "ada", "eve@example.com", ["reviewers"])
    assert pool.calls == []


def test_only_somebody_who_never_signed_in_is_invited_again() -> None:
    pool = pool_of(
        ADA, replace(ADA, name="bob", status="CONFIRMED"), replace(ADA, name="cy", enabled=False), replace(ADA, name="di", email="")
    )
    assert changes.invite(pool, "ada") == ["Cognito mails a new temporary password to ada@example.com"]
    refused = {"bob": "bob has a password already", "cy": "cy is disabled", "di": "di has no mail address", "eve": "no account eve"}
    for name, reason in refused.items():
        with pytest.raises(NotDone, match=reason):
            changes.invite(pool, name)
    assert pool.calls == ["send_again"]


def test_a_lost_authenticator_is_reset_and_the_account_stays_the_same_person() -> None:
    pool = pool_of(replace(ADA, status="CONFIRMED", mfa=True), replace(ADA, name="bob"))
    ended = ending(pool)
    assert changes.reset_authenticator(pool, "ada", ended)[1].startswith("deleted the authenticator app")
    calls = ["end sessions of sub-ada", "sign_out", "forget_authenticator", "end sessions of sub-ada"]
    assert (pool.calls, pool.persons["ada"].sub) == (calls, ADA.sub), "what cannot be repeated without the app comes before it goes"
    for name, reason in {"bob": "bob has no authenticator app", "eve": "no account eve"}.items():
        with pytest.raises(NotDone, match=reason):
            changes.reset_authenticator(pool, name, ended)
    with pytest.raises(NotDone, match="reset-authenticator"):
        changes.invite(pool, "ada")


def test_who_is_removed_cannot_sign_in_again_after_the_sign_out() -> None:
    pool = pool_of()
    ended = ending(pool)
    assert changes.remove(pool, ADA, ended, keep=True)[-1] == "disabled the account"
    assert pool.calls == ["leave reviewers", "disable", "end sessions of sub-ada", "sign_out"]
    gone = replace(ADA, groups=(), enabled=False)
    assert changes.remove(pool, gone, ended, keep=False) == ["signed out everywhere", "deleted the account"]
    assert pool.calls[4:] == ["end sessions of sub-ada", "sign_out", "delete"]


@pytest.mark.parametrize(
    ("review", "options", "said"),
    [
        ({"backend": "hosted"}, ["add", "ada", "--email", "nonsense"], "--email 'nonsense' is no mail address"),
        ({"backend": "hosted"}, ["remove", "a da"], "NAME 'a da'"),
        ({"backend": "a2i"}, ["add", "ada", "--email", "ada@example.com", "--lead"], "review.backend 'a2i' has no leads"),
        ({"backend": "none"}, ["list"], "nobody is asked, and there is no user pool"),
        (
            {"workforce": {"mode": "import", "workteam_arn": "arn:aws:sagemaker:us-east-1:000000000000:workteam/private-crowd/them"}},
            ["list"],
            "imports the work team arn:aws:sagemaker",
        ),
    ],
)  # fmt: skip
def test_wrong_options_and_settings_are_said_before_anything_starts(
    review: dict[str, Any], options: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings").mkdir()
    content: dict[str, Any] = {"stage": "dev", "region": "us-east-1", "review": review, "labeling": {"enabled": False}}
    if review.get("backend") == "none":
        content["rollout"] = {"policy": "blue_green"}  # nobody could judge a challenger
    (tmp_path / "settings" / "dev.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    monkeypatch.setattr("cli.console.ROOT", tmp_path)
    done = CliRunner().invoke(app, ["review", "people", *options], env={"AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    assert (done.exit_code, said in done.output) == (WRONG_OPTIONS, True), done.output


def test_every_command_has_its_row_on_the_page() -> None:
    section = (DOCS / "commands.md").read_text(encoding="utf-8").partition("\n## review people\n")[2].partition("\n## ")[0]
    rows = [line.split("`")[1].split()[0] for line in section.splitlines() if line.startswith("| `")]
    assert rows == [command.name for command in people.registered_commands]
