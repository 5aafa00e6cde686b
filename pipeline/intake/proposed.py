"""A feature spec proposed for a sample: the role of each column, and why."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipeline.intake import field, label, leak, names, roles
from pipeline.intake.column import Column
from pipeline.intake.label import LabelGuess
from pipeline.intake.leak import Label
from pipeline.intake.roles import Guess
from schemas.checking import validate
from schemas.errors import Refusal
from schemas.features import FeatureSpec, Objective

SUSPECT_AUC = 0.7  # of a column whose name says that it is known after the click, from which on it is taken for that

TOLD_OF: dict[Objective, str] = {
    "binary": "the label",
    "multiclass": "the commonest class",
    "regression": "labels above the median",
}


@dataclass(frozen=True, slots=True)
class Told:
    """Columns that the user has named for roles; an empty name: none is to have it."""

    label: str | None = None
    objective: Objective | None = None
    row_key: str | None = None
    group: str | None = None
    ignored: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Proposed:
    """Each column's role; `ignored` and `fields` by name, in the order of the log."""

    columns: Mapping[str, Column]
    label: LabelGuess
    row_key: Guess | None
    group: Guess | None
    ignored: Mapping[str, str]
    """Name -> why."""
    fields: Mapping[str, field.Proposal]
    strongest: tuple[str, float] | None
    """The field that alone tells the label best, and its AUC."""

    def spec(self) -> FeatureSpec:
        return validate(
            FeatureSpec,
            {
                "label": self.label.name,
                "objective": self.label.objective,
                "row_key": self.row_key.name if self.row_key else None,
                "group": self.group.name if self.group else None,
                "ignored": [*self.ignored],
                "fields": [{"name": name, **(one.entry or {})} for name, one in self.fields.items()],
            },
            "the proposed spec",
        )

    @property
    def question(self) -> str:
        """About the field that alone tells the label best; empty where none tells anything."""
        if self.strongest is None:
            return ""
        name, auc = self.strongest
        return f"{name} alone tells {TOLD_OF[self.label.objective]} best, with AUC {auc:.3f}: is it known beforehand?"

    @property
    def click_share(self) -> float | None:
        """Of the rows; None where the label is not of clicks."""
        is_of_clicks = self.label.objective == "binary"
        return float(self.columns[self.label.name].numbers_or_booleans.mean()) if is_of_clicks else None


def propose(rows: pa.Table, total_rows: int, told: Told, where: str, by_path: Collection[str] = ()) -> Proposed:
    """The roles of all columns but those whose values stand in the path.

    Refusal where no label is found, where a column that is `told` is not there, or none is left for a field.
    """
    columns = {name: Column(name, rows.column(name)) for name in rows.column_names if name not in by_path}
    of_log = list(columns.values())
    for name in told.ignored:
        roles.find(of_log, name, "--ignore", where)
    candidates = [one for one in of_log if one.name not in told.ignored]
    of_label = label.guess(candidates, told.label, told.objective, where)
    others = [one for one in candidates if one.name != of_label.name]
    row_key = roles.row_key(others, told.row_key, where)
    group = roles.group(others, told.group, where)
    known = label.for_leaks(columns[of_label.name], of_label.objective)
    ignored, fields, aucs = {name: "as --ignore says" for name in told.ignored}, dict[str, field.Proposal](), {}
    for one in others:
        if row_key and one.name == row_key.name:
            continue
        proposal, auc = _of_column(one, known, total_rows)
        if proposal.entry is None:
            ignored[one.name] = proposal.reason
        else:
            fields[one.name] = proposal
            aucs[one.name] = auc or 0.0
    if not fields:
        raise _without_fields(ignored, where)
    best = max(aucs, key=lambda name: aucs[name])
    strongest = (best, aucs[best]) if aucs[best] > 0.5 else None
    in_order = {name: ignored[name] for name in columns if name in ignored}
    return Proposed(columns, of_label, row_key, group, in_order, fields, strongest)


def _of_column(column: Column, known: Label, total_rows: int) -> tuple[field.Proposal, float | None]:
    """What it is proposed as, and the AUC that it alone has."""
    proposal = field.propose(column, known, total_rows)
    if proposal.entry is None:
        return proposal, None
    if leak.goes_by_nulls(column, known):
        return field.Proposal("null exactly where the label is 0, or 1: it was written after the click"), None
    auc = leak.auc_alone(column, known)
    if auc and auc > leak.TOO_GOOD:
        return field.Proposal(f"it alone has AUC {auc:.3f}, so it was probably written after the click"), None
    if auc and auc > SUSPECT_AUC and names.is_after(column.name):
        reason = f"a guess by its name, and that it alone has AUC {auc:.3f}: known only after the click"
        return field.Proposal(reason), None
    if names.is_weight(column.name):
        return field.Proposal(
            f"{proposal.reason}; if it says how much a row counts, `weight: {column.name}`", proposal.entry
        ), auc
    if names.is_after(column.name):
        return field.Proposal(f"{proposal.reason}; ignore it if it is known only after the click", proposal.entry), auc
    return proposal, auc


def _without_fields(ignored: Mapping[str, str], where: str) -> Refusal:
    whys = "; ".join(f"{name}: {why}" for name, why in list(ignored.items())[: roles.MOST_NAMED])
    return Refusal(
        found=f"no column that a model could learn of{': ' * bool(whys)}{whys}",
        expected="at least one column that is known before the click",
        where=where,
        remedy="write such columns into the log, as text, numbers or lists of these",
    )
