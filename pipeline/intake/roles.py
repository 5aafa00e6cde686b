"""Which columns of a sample are the key of a row and the group: guessed by name and content, or as told."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.intake import names
from pipeline.intake.column import Column
from schemas.errors import Refusal

MOST_NAMED = 8  # columns in a message
GROUP_ROWS = 1.5  # that a group has on average, at least


@dataclass(frozen=True, slots=True)
class Guess:
    """A column in a role, and what speaks for it."""

    name: str
    reason: str


def row_key(columns: Sequence[Column], told: str | None, where: str) -> Guess | None:
    """The column whose values each name a row, of several the one that is called so most clearly; of `told` "" none."""
    if told == "":
        return None
    if told is not None:
        _require_key(find(columns, told, "--row-key", where), where)
        return Guess(told, "as --row-key says")
    keys = [one for one in columns if _can_be_key(one) and (names.key_rank(one.name) < 2 or one.counts_rows)]
    if not keys:
        return None
    return Guess(min(keys, key=lambda one: names.key_rank(one.name)).name, "another value in every row")


def group(columns: Sequence[Column], told: str | None, where: str) -> Guess | None:
    """The column of whom the rows are about, whose rows GAUC compares with one another; of `told` "" none."""
    if told == "":
        return None
    if told is not None:
        find(columns, told, "--group", where)
        return Guess(told, "as --group says")
    named = [one for one in columns if names.is_group(one.name) and one.is_readable and not one.has_lists]
    several = [one for one in named if len(one.values) >= GROUP_ROWS * one.num_distinct > GROUP_ROWS]
    return Guess(several[0].name, "by its name, and that its values come again") if several else None


def find(columns: Sequence[Column], name: str, option: str, where: str) -> Column:
    """The column of that name; Refusal where the log has none."""
    for one in columns:
        if one.name == name:
            return one
    raise Refusal(
        found=f"no column {name!r}",
        expected=f"one of {listed([one.name for one in columns])}",
        where=f"{option}, of {where}",
        remedy="correct the name",
    )


def _can_be_key(column: Column) -> bool:
    if not column.is_readable or column.has_lists or column.is_time:
        return False
    return column.is_key and (column.is_text or column.is_whole)


def _require_key(column: Column, where: str) -> None:
    if column.has_lists or not column.is_readable or column.null_share:
        raise Refusal(
            found=f"column {column.name!r} of type {column.kind}, {column.null_share:.1%} of rows null",
            expected="one value in every row, text or a whole number",
            where=f"--row-key, of {where}",
            remedy="name another column, or leave --row-key away",
        )


def listed(names_: Sequence[str]) -> str:
    """Not more of them than a message has room for."""
    shown = ", ".join(name if name.isprintable() else repr(name) for name in names_[:MOST_NAMED])
    return f"{shown} and {len(names_) - MOST_NAMED} more" if len(names_) > MOST_NAMED else shown or "none"
