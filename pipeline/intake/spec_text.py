"""A proposed spec as a file for people: each column beside what was seen of it, and why it is proposed as that."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.types as pt

from pipeline.intake.column import Column
from pipeline.intake.label import in_words
from pipeline.intake.proposed import Proposed
from pipeline.intake.yaml_lines import comment, flow, plain
from schemas.click_log import is_list, is_text


def text(proposed: Proposed, guessed_by: str) -> str:
    """The YAML of `proposed.spec()`; `guessed_by` says by what, and from which rows."""
    return "\n".join([*_lines(proposed, guessed_by), ""])


def _lines(proposed: Proposed, guessed_by: str) -> Iterator[str]:
    yield from comment(
        f"Guessed by {guessed_by}. Look it over: a column that is known only after the click "
        "belongs under `ignored`. What else an entry can say is in schemas/README.md."
    )
    yield ""
    guess = proposed.label
    yield f"label: {plain(guess.name)} # {guess.reason}; {in_words(proposed.columns[guess.name], guess.objective)}"
    if guess.objective != "binary":
        yield f"objective: {guess.objective}"
    if proposed.row_key:
        yield f"row_key: {plain(proposed.row_key.name)} # {proposed.row_key.reason}; carried into what is scored"
    if proposed.group:
        yield f"group: {plain(proposed.group.name)} # {proposed.group.reason}; GAUC ranks each one's rows by themselves"
    if proposed.ignored:
        yield ""
        yield "ignored:"
    for name, why in proposed.ignored.items():
        yield from comment(f"{seen(proposed.columns[name])}: {why}", indent=2)
        yield f"  - {plain(name)}"
    yield ""
    yield from comment(proposed.question)
    yield "fields:"
    for name, one in proposed.fields.items():
        yield from comment(f"{seen(proposed.columns[name])}: {one.reason}", indent=2)
        yield f"  - {flow({'name': name, **(one.entry or {})})}"


def seen(column: Column) -> str:
    """What the sample has of a column: type, values, nulls and examples."""
    if not column.is_readable:
        return type_in_words(column.kind)
    number = f"{column.num_distinct:,} value{'s' * (column.num_distinct != 1)}"
    empty = "null or empty" if column.has_lists else "null"
    nulls = f"{column.null_share:.1%} {empty}" if column.null_share else "no nulls"
    examples = f" ({column.examples})" if column.num_distinct else ""
    return f"{type_in_words(column.kind)}, {number}, {nulls}{examples}"


def type_in_words(kind: pa.DataType) -> str:
    if is_list(kind):
        return f"list of {type_in_words(kind.value_type)}"
    kind = kind.value_type if pt.is_dictionary(kind) else kind
    return "string" if is_text(kind) else str(kind)
