"""Which correction a row of the next version gets: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from contracts.amendments import CORRECTED, Amendment, corrected_basis, moment
from contracts.dataset import Row
from lambdas.retraining.freeze_dataset.row_files import Entry


@dataclass(frozen=True)
class Corrections:
    """The corrections to apply, by id of the row that each names, and by that row's text.

    A new review of a text has a row of its own, which replaces the row that a correction may name. Of the two the newer one counts.
    """

    by_id: Mapping[str, Amendment]
    by_text: Mapping[bytes, Amendment]

    @classmethod
    def of(cls, by_id: Mapping[str, Amendment], replaced: Iterable[Entry]) -> Corrections:
        """
        Args:
            by_id: the newest correction of each row.
            replaced: rows whose text another row may have in the next version.
        """
        by_text: dict[bytes, Amendment] = {}
        for entry in replaced if by_id else ():
            change = by_id.get(entry.id)
            if change is not None:
                by_text[entry.text] = max(change, by_text.get(entry.text, change), key=_age)
        return cls(by_id, by_text)

    def change(self, entry: Entry, reviewed_at: str | None) -> Amendment | None:
        """The correction that the row gets, if any.

        Args:
            reviewed_at: of a new review; its own correction always came after it. None for a row of the parent.
        """
        found = [self.by_id[entry.id]] if entry.id in self.by_id else []
        if reviewed_at is not None:
            change = self.by_text.get(entry.text)
            if change is not None and moment(change.at) > moment(reviewed_at):
                found.append(change)
        return max(found, key=_age, default=None)


def outdates(change: Amendment, row: Row) -> bool:
    """Whether the row has another label, and no newer correction already."""
    basis = row.label_basis or {}
    known = basis.get("at") if basis.get("method") == CORRECTED else None
    return row.label != change.label and (known is None or moment(known) < moment(change.at))


def corrected(row: Row, change: Amendment) -> Row:
    """People's votes were for another label, so they are kept with the basis and are not learnt."""
    basis = corrected_basis(change, row.label)
    return replace(row, label=change.label or row.label, votes={}, label_basis={**basis, "votes": dict(row.votes)})


def _age(change: Amendment) -> tuple[object, str]:
    return moment(change.at), change.key
