"""What each command does to a user pool. Every function says what it did, one sentence for each change, and can be called again."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from cli.console import NotDone
from cli.people.pool import NEVER_SIGNED_IN, Person, UserPool

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_EMAIL = re.compile(rf"[a-zA-Z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})+")
"""HTML Living Standard, "valid e-mail address", with a domain of at least two parts."""
_LONGEST_EMAIL, _LONGEST_NAME = 254, 128
"""RFC 5321, 4.5.3.1.3; API reference, AdminCreateUser."""


def name_fault(name: str) -> str | None:
    """What is wrong with a user name; None when it can be one."""
    if not name or len(name) > _LONGEST_NAME or "@" in name or not all(char.isprintable() and char != " " for char in name):
        return f"NAME {name!r}: a user name has 1 to {_LONGEST_NAME} characters without spaces and without @, such as ada"
    return None


def email_fault(email: str) -> str | None:
    """What is wrong with a mail address; None when it can be one."""
    if len(email) > _LONGEST_EMAIL or not _EMAIL.fullmatch(email):
        return f"--email {email!r} is no mail address: give one such as ada@example.com"
    return None


def known(pool: UserPool, name: str) -> Person:
    """Raises NotDone: the user pool has no such account."""
    person = pool.find(name)
    if person is None:
        raise NotDone(f"the user pool {pool.id} has no account {name}: `review people list` shows everybody")
    return person


def add(pool: UserPool, name: str, email: str, groups: Collection[str]) -> list[str]:
    """Somebody is in the user pool, enabled and in each of the groups.

    Raises:
        NotDone: a group is missing, or the account has another mail address.
    """
    missing = sorted(set(groups) - pool.groups())
    if missing:
        raise NotDone(f"the user pool {pool.id} has no group {missing[0]}: deploy the review stack with today's settings first")
    person, done = pool.find(name), []
    if person is None:
        pool.create(name, email)
        done.append(f"made the account; Cognito mails a temporary password to {email}")
    elif person.email.casefold() != email.casefold():
        has = f"has the mail address {person.email}" if person.email else "has no mail address"
        raise NotDone(f"{name} is there already and {has}, not {email}: choose another name, or remove {name} first")
    elif not person.enabled:
        pool.enable(name)
        done.append("enabled the account")
    for group in groups:
        if person is None or group not in person.groups:
            pool.join(name, group)
            done.append(f"added to the group {group}")
    return done


def invite(pool: UserPool, name: str) -> list[str]:
    """Somebody who never signed in gets another mail.

    Raises:
        NotDone: nobody has this name, or the account needs or can get no invitation.
    """
    person = known(pool, name)
    if person.status != NEVER_SIGNED_IN:
        raise NotDone(
            f"{person.name} has a password already ({person.status}), so nothing was sent. For a forgotten password the sign-in page has "
            "a link. For a lost authenticator app there is `review people reset-authenticator`"
        )
    if not person.enabled:
        raise NotDone(f"{person.name} is disabled, so nothing was sent: `review people add` enables the account")
    if not person.email:
        raise NotDone(f"{person.name} has no mail address, so nothing was sent: remove the account and add it again")
    pool.send_again(person.name)
    return [f"Cognito mails a new temporary password to {person.email}"]


def reset_authenticator(pool: UserPool, name: str, end_sessions: Callable[[Person], None]) -> list[str]:
    """Somebody who has lost the authenticator app is signed out, sets up another app at the next sign-in, and stays the same person.

    The sessions end before the app goes, because without an app the command does nothing and could not be repeated; and after it, because
    whoever has the app may sign in until then.

    Args:
        end_sessions: ends those of the review page.

    Raises:
        NotDone: nobody has this name, or the account has no authenticator app.
    """
    person = known(pool, name)
    if not person.mfa:
        raise NotDone(f"{person.name} has no authenticator app, so nothing was changed: the next sign-in shows the code for one")
    end_sessions(person)
    pool.sign_out(person.name)
    pool.forget_authenticator(person.name)
    end_sessions(person)
    return ["signed out everywhere", "deleted the authenticator app; whoever signs in next with the password sets up another one"]


def remove(pool: UserPool, person: Person, end_sessions: Callable[[Person], None], *, keep: bool) -> list[str]:
    """Somebody is in no group, signed out, and disabled (``keep``) or deleted. Who is added again later signs in again.

    The account is closed before the sign-out, so nobody signs in again between the two.
    """
    done = []
    for group in person.groups:
        pool.leave(person.name, group)
        done.append(f"removed from the group {group}")
    if person.enabled:
        pool.disable(person.name)
    end_sessions(person)
    pool.sign_out(person.name)
    done.append("signed out everywhere")
    if not keep:
        pool.delete(person.name)
        done.append("deleted the account")
    elif person.enabled:
        done.append("disabled the account")
    return done
