"""Which columns of a sample are the label, the key of a row and the group: guessed by name and content, or as told."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.intake import names
from pipeline.intake.column import Column
from schemas.errors import Refusal

MOST_NAMED = 8  # columns in a message
GROUP_ROWS = 1.5  # that a group has on average, at least


@dataclass(frozen=True, slots=True)
class Guess:
    """A column in a role, and what speaks for it; `is_told` where the user has named it."""

    name: str
    reason: str
    is_told: bool = False


def label(columns: Sequence[Column], told: str | None, where: str) -> Guess:
    """The column of clicks. Refusal where none is found, or the one that is told can be none."""
    if told is not None:
        _require_clicks(find(columns, told, "--label", where), where)
        return Guess(told, "as --label says", is_told=True)
    ranked = {one.name: rank for one in columns if (rank := names.label_rank(one.name)) is not None}
    named = sorted((one for one in columns if one.name in ranked), key=lambda one: ranked[one.name])
    fitting = [one for one in named if are_clicks(one)]
    if fitting:
        return Guess(fitting[0].name, "by its name, and that it holds 0 and 1")
    if named:
        _require_clicks(named[0], where)
    binary = [one.name for one in columns if are_clicks(one)]
    raise Refusal(
        found=f"no column that is called like a label; of 0 and 1 {_listed(binary)}",
        expected="the column that says whether there was a click, 0 or 1",
        where=where,
        remedy=f"name it: --label {binary[0] if binary else 'COLUMN'}",
    )


def row_key(columns: Sequence[Column], told: str | None, where: str) -> Guess | None:
    """The column whose values each name a row, of several the one that is called so most clearly; of `told` "" none."""
    if told == "":
        return None
    if told is not None:
        _require_key(find(columns, told, "--row-key", where), where)
        return Guess(told, "as --row-key says", is_told=True)
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
        return Guess(told, "as --group says", is_told=True)
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
        expected=f"one of {_listed([one.name for one in columns])}",
        where=f"{option}, of {where}",
        remedy="correct the name",
    )


def are_clicks(column: Column) -> bool:
    """Numbers or booleans of 0 and 1, and no nulls."""
    if column.has_lists or not column.is_readable or column.is_text or column.num_distinct not in (1, 2):
        return False
    return column.null_share == 0 and {*column.counts["value"].to_pylist()} <= {0, 1}


def _require_clicks(column: Column, where: str) -> None:
    if are_clicks(column):
        return
    words = column.counts["value"].to_pylist() if column.is_readable and column.num_distinct <= 2 else []
    found = f"{column.kind} of {column.num_distinct:,} values, such as {column.examples}" if column.is_readable else ""
    nulls = f", {column.null_share:.1%} of rows null" if column.null_share else ""
    raise Refusal(
        found=f"column {column.name!r}, {found or column.kind}{nulls}",
        expected="0 or 1 in every row; 1 is a click",
        where=f"{where}, column {column.name!r}",
        remedy=_how_to_mend(column, [str(word) for word in words]),
    )


def _how_to_mend(column: Column, words: Sequence[str]) -> str:
    if column.null_share and not column.is_text:
        return "leave rows without a label out where the log is written, or write 0; or name another column by --label"
    if column.is_text and len(words) == 2:
        click = next((word for word in words if word.lower() in ("yes", "y", "true", "t", "1", "click")), max(words))
        return (
            f"where the log is written, write 1 for a click: pyarrow.compute.equal(table[{column.name!r}], {click!r}); "
            "or name another column by --label"
        )
    return "name the column of clicks by --label"


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


def _listed(names_: Sequence[str]) -> str:
    shown = ", ".join(names_[:MOST_NAMED])
    return f"{shown} and {len(names_) - MOST_NAMED} more" if len(names_) > MOST_NAMED else shown or "none"
