"""Sessions of the page, kept in the table of review tasks: ``pk`` ``session#<SHA-256 of the id>``, ``sk`` ``session``.

The browser alone has the id. Who reads the table cannot use a session. An id begins with the person's worker id, so that a request can
read the person's records along with the session. Nothing else follows from that part: who somebody is stands in the session.

``pk`` ``worker#<worker id>``, ``sk`` ``signed-out`` says before which time every sign-in of a person is void, on whatever machine it was.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from lambdas.common.batch_get import batch_get
from lambdas.review.hosted_tasks.table import Record, RecordKey
from review_page.answers import Worker

SESSION = "session"
HOURS = 12
"""After this time a person must sign in again, also if they were active."""
CHECKED_SECONDS = 60
"""Seconds for which a person's groups and state are used before they are looked up again."""
SIGNED_OUT = "signed-out"
_TOKEN = re.compile(r"([0-9a-f]{16})\.[\w-]{43}", re.ASCII)


def worker_id_of(sub: str) -> str:
    """The worker id of a person. Like SageMaker's worker ids, it does not show a name. ``sub`` is the user pool's id of the person."""
    return hashlib.sha256(sub.encode()).hexdigest()[:16]


def claimed_worker_id(token: str) -> str | None:
    """Whose session the id says it is of; None for an id of another form. Only a session that is there makes it true."""
    found = _TOKEN.fullmatch(token)
    return None if found is None else found[1]


@dataclass(frozen=True)
class Session:
    """The page's ``Session``. ``team`` is the id that tasks have; times in epoch seconds. ``signed_in_at``: to the user pool."""

    token: str
    sub: str
    username: str
    issuer: str
    member: bool
    lead: bool
    signed_in_at: int
    checked_at: int
    ends_at: int
    team: str

    @property
    def worker(self) -> Worker:
        return Worker(worker_id_of(self.sub), {"identityProviderType": "Cognito", "issuer": self.issuer, "sub": self.sub}, self.username)

    @property
    def csrf(self) -> str:
        """Follows from the session's id, so it is stored nowhere."""
        return hashlib.sha256(f"csrf:{self.token}".encode()).hexdigest()

    def teams(self) -> Collection[str]:
        return (self.team,) if self.member else ()

    def leads(self) -> Collection[str]:
        return (self.team,) if self.lead else ()


class Sessions:
    """``table`` is a boto3 Table resource."""

    def __init__(self, table: Any, team: str) -> None:
        self._table, self._team = table, team

    def begin(
        self, sub: str, username: str, issuer: str, groups: tuple[bool, bool], now: int, *, signed_in_at: int | None = None
    ) -> Session:
        """A new session, always under a new id.

        Args:
            groups: whether the person is a member, and whether they lead.
            signed_in_at: when they signed in to the user pool; None: now.
        """
        token, at = f"{worker_id_of(sub)}.{secrets.token_urlsafe(32)}", now if signed_in_at is None else signed_in_at
        session = Session(token, sub, username, issuer, *groups, at, now, now + HOURS * 3_600, self._team)
        self._table.put_item(
            Item={
                **_key(session.token),
                "sub": sub,
                "username": username,
                "issuer": issuer,
                "member": session.member,
                "lead": session.lead,
                "signed_in_at": at,
                "checked_at": now,
                "delete_after": session.ends_at,
            }
        )
        return session

    def find(self, token: str, now: int, along: Sequence[RecordKey] = ()) -> tuple[Session | None, list[Record]]:
        """The session, and the records with these keys that are there, in one request. TTL deletes late, so the time is looked at here."""
        if along:
            found = list(batch_get(self._table, [_key(token), *({"pk": pk, "sk": sk} for pk, sk in along)]))
            item = next((one for one in found if one["sk"] == SESSION), None)
        else:
            item, found = self._table.get_item(Key=_key(token), ConsistentRead=True).get("Item"), []
        if item is None or item["delete_after"] <= now:
            return None, []
        return self._session(token, item), [one for one in found if one is not item]

    def _session(self, token: str, item: Record) -> Session:
        return Session(
            token,
            item["sub"],
            item["username"],
            item["issuer"],
            item["member"],
            item["lead"],
            int(item.get("signed_in_at", item["delete_after"] - HOURS * 3_600)),
            int(item["checked_at"]),
            int(item["delete_after"]),
            self._team,
        )

    def checked(self, session: Session) -> None:
        """Store what the session says now. A session that was ended in between stays ended."""
        try:
            self._table.update_item(
                Key=_key(session.token),
                UpdateExpression="SET #member = :member, #lead = :lead, #checked = :checked",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeNames={"#member": "member", "#lead": "lead", "#checked": "checked_at"},
                ExpressionAttributeValues={":member": session.member, ":lead": session.lead, ":checked": session.checked_at},
            )
        except self._table.meta.client.exceptions.ConditionalCheckFailedException:
            return

    def end(self, token: str) -> None:
        self._table.delete_item(Key=_key(token))

    def end_all(self, sub: str) -> None:
        """Every sign-in of a person is void, on all machines: the page's sessions, and what a browser's user pool would give it again.

        By the clock of AWS, because that of an operator's machine may be wrong.
        """
        answer = self._table.get_item(Key=_signed_out(sub), ConsistentRead=True)
        now = int(parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp())
        # No session is older than the record then, and the user pool remembers a browser for an hour.
        self._table.put_item(Item={**_signed_out(sub), "until": now, "delete_after": now + 2 * HOURS * 3_600})

    def is_void(self, sub: str, signed_in_at: int) -> bool:
        """Whether a sign-in at this time was ended by :meth:`end_all`."""
        item = self._table.get_item(Key=_signed_out(sub), ConsistentRead=True).get("Item")
        return item is not None and signed_in_at < item["until"]


def _signed_out(sub: str) -> dict[str, str]:
    return {"pk": f"worker#{worker_id_of(sub)}", "sk": SIGNED_OUT}


def _key(token: str) -> dict[str, str]:
    return {"pk": f"session#{hashlib.sha256(token.encode()).hexdigest()}", "sk": SESSION}
