"""Which column of a sample is the label, and of what: clicks, classes or numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.target import MAX_CLASSES
from pipeline.intake import names
from pipeline.intake.column import Column
from pipeline.intake.leak import Label
from pipeline.intake.roles import find, listed
from schemas.errors import Refusal
from schemas.features import Objective

FEW_NUMBERS = 20  # whole ones that are classes; more are a quantity
YES = ("yes", "y", "true", "t", "1", "click")


@dataclass(frozen=True, slots=True)
class LabelGuess:
    """The label, what speaks for it, and what a model of it would be trained for."""

    name: str
    reason: str
    objective: Objective


def guess(columns: Sequence[Column], told: str | None, objective: Objective | None, where: str) -> LabelGuess:
    """The label, of clicks if any is. Refusal where none is found, or the one that is told can be none."""
    if told is not None:
        return _of_column(find(columns, told, "--label", where), "as --label says", objective, where)
    ranked = {one.name: rank for one in columns if (rank := names.label_rank(one.name)) is not None}
    named = sorted((one for one in columns if one.name in ranked), key=lambda one: ranked[one.name])
    named.sort(key=lambda one: not are_clicks(one))
    if named:
        return _of_column(named[0], "a guess by its name", objective, where)
    binary = [one.name for one in columns if are_clicks(one)]
    raise Refusal(
        found=f"no column that is called like a label; of 0 and 1 {listed(binary)}",
        expected="the column that says whether there was a click, 0 or 1",
        where=where,
        remedy=f"name it: --label {binary[0] if binary else 'COLUMN'}",
    )


def are_clicks(column: Column) -> bool:
    """Numbers or booleans of 0 and 1, and no nulls."""
    if column.has_lists or not column.is_readable or column.is_text or column.num_distinct not in (1, 2):
        return False
    return column.null_share == 0 and {*column.counts["value"].to_pylist()} <= {0, 1}


def in_words(column: Column, objective: Objective) -> str:
    """What the labels of the sample are."""
    if objective == "multiclass":
        most = column.counts["count"][0].as_py() / len(column.values)
        return f"{column.num_distinct:,} classes, the commonest in {most:.1%} of the rows"
    if objective == "regression":
        return f"numbers of mean {column.numbers.mean():.6g} and deviation {column.numbers.std():.6g}"
    return f"a click in {column.numbers_or_booleans.mean():.2%} of the rows"


def for_leaks(column: Column, objective: Objective) -> Label:
    """What a column that is written afterwards would tell: a click, the commonest class, a number above the median."""
    if objective == "multiclass":
        return Label(np.asarray(pc.equal(column.plain, column.counts["value"][0])))
    numbers = column.numbers_or_booleans
    return Label(numbers > np.median(numbers) if objective == "regression" else numbers == 1)


def _of_column(column: Column, reason: str, objective: Objective | None, where: str) -> LabelGuess:
    found = objective or _objective_of(column)
    if found is None or column.null_share or not _fits(column, found):
        raise _refused(column, where)
    said = f"{reason}; {found}, by what it holds" if found != "binary" and not objective else reason
    return LabelGuess(column.name, said, found)


def _objective_of(column: Column) -> Objective | None:
    """By what the column holds; of two values that are not 0 and 1 they are clicks in other words, most likely."""
    if are_clicks(column):
        return "binary"
    if not column.is_readable or column.has_lists or column.is_time or column.num_distinct <= 2:
        return None
    is_class = column.is_text or (column.is_whole and column.num_distinct <= FEW_NUMBERS)
    return "multiclass" if is_class else "regression"


def _fits(column: Column, objective: Objective) -> bool:
    if objective == "binary" or not column.is_readable or column.has_lists:
        return are_clicks(column)
    if objective == "regression":
        return column.is_number and bool(np.isfinite(column.numbers).all())
    is_class = column.is_text or column.is_whole or pa.types.is_boolean(column.plain.type)
    return is_class and 2 <= column.num_distinct <= MAX_CLASSES


def _refused(column: Column, where: str) -> Refusal:
    words = [str(word) for word in column.counts["value"].to_pylist()] if column.is_readable else []
    holds = f"{column.kind} of {column.num_distinct:,} values, such as {column.examples}" if words else str(column.kind)
    nulls = f", {column.null_share:.1%} of rows null" if column.null_share else ""
    return Refusal(
        found=f"column {column.name!r}, {holds}{nulls}",
        expected="0 or 1 in every row, where 1 is a click; or with --objective a class, or a number",
        where=f"{where}, column {column.name!r}",
        remedy=_how_to_mend(column, words),
    )


def _how_to_mend(column: Column, words: Sequence[str]) -> str:
    if column.null_share and not column.is_text:
        return "leave rows without a label out where the log is written, or write 0; or name another column by --label"
    if column.is_text and len(words) == 2:
        click = next((word for word in words if word.lower() in YES), max(words))
        return (
            f"where the log is written, write 1 for a click: pyarrow.compute.equal(table[{column.name!r}], {click!r}); "
            "or name another column by --label"
        )
    return "name the column of clicks by --label; or say --objective"
