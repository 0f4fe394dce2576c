"""The lead's routes: what waits, who does how much, what was flagged; release, dispute, settle. Their page is ``assets/lead.html``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from review_page.http import PageError, PageRequest, PageResponse, id_of, json_response, note_of
from review_page.sessions import Session
from review_page.tasks import Lead, Overview, Remark, TaskRefused


class LeadPage:
    """JSON for who leads a team; the caller has checked that the person does, and the CSRF token of what is posted."""

    def __init__(self, lead: Lead) -> None:
        self._lead = lead

    def handle(self, request: PageRequest, session: Session, action: str) -> PageResponse:
        """Every answer is the overview after the action.

        Raises:
            PageError: 404 for an unknown action, 400 for a bad body, 409 for what is refused.
        """
        try:
            if request.method == "POST":
                self._act(action, request.json(), session)
            elif (request.method, action) != ("GET", "overview"):
                raise PageError(404, "There is no such page.")
        except TaskRefused as refused:
            raise PageError(409, str(refused)) from None
        return json_response(_shown(self._lead.overview(session.leads())))

    def _act(self, action: str, body: dict[str, Any], session: Session) -> None:
        teams = session.leads()
        if action == "released":
            self._lead.release(id_of(body, "task"), teams)
        elif action == "disputes":
            note = note_of(body)
            if not note:
                raise PageError(400, "Say what must be looked at again.")
            self._lead.dispute(id_of(body, "task"), teams, session.worker, note)
        elif action == "closed":
            self._lead.close(id_of(body, "remark"), teams)
        else:
            raise PageError(404, "There is no such page.")


def _shown(overview: Overview) -> dict[str, Any]:
    return {
        "open": overview.open,
        "queue": [
            {
                "id": one.task_id, "title": one.title, "age": one.age, "answers": one.answers, "wanted": one.wanted,
                "holders": [list(holder) for holder in one.holders], "skips": dict(one.skips),
            }
            for one in overview.queue
        ],
        "people": [asdict(one) for one in overview.people],
        "flags": [_remark(one) for one in overview.flags],
        "disputes": [_remark(one) for one in overview.disputes],
    }  # fmt: skip


def _remark(one: Remark) -> dict[str, Any]:
    return {"id": one.remark_id, "task": one.task_id, "title": one.title, "by": one.by, "note": one.note, "made_at": one.made_at}
