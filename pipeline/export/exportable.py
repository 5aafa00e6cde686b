"""What is refused before a graph is begun: columns, values and sizes that a file of ONNX could not take."""

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.vocabulary import Vocabulary
from pipeline.export.inputs import MISSING_INTEGER, MISSING_TEXT, inputs_of, output_name
from pipeline.export.learned import learned
from schemas.errors import Refusal

MAX_TEXT_BYTES = 1_500_000_000  # a graph's file ends at 2 GiB; what `graph` leaves of it to large tables
BYTES_A_VALUE = 14  # beside its text: the id, and what protobuf says of both


def require_exportable(vocabulary: Vocabulary, integers: Collection[str]) -> None:
    """Raise Refusal where columns have names or values that the graph could not tell from its own, or not take."""
    spec = vocabulary.spec
    categories = [field.name for field in spec.fields if field.kind != "numeric"]
    if unknown := [name for name in integers if name not in categories]:
        raise Refusal(
            found=", ".join(map(repr, unknown)),
            expected=f"some of the model's categories: {', '.join(categories)}",
            where="--integers",
            remedy="name categorical or multi_valued fields alone; numbers are taken as they are",
        )
    names = [one.name for one in inputs_of(spec, integers)]
    given = output_name(spec.objective)
    taken = {given, *(name for name in names if names.count(name) > 1)}
    if named := [name for name in spec.feature_columns if name in taken]:
        raise Refusal(
            found=f"a column {named[0]!r}",
            expected=f"columns whose names differ from {given!r}, which comes out, and from lists' lengths",
            where="the model's fields",
            remedy="rename the column in the log, and train again",
        )
    _require_room(vocabulary)
    for name in categories:
        _require_values(vocabulary, name, name in integers)


def _require_values(vocabulary: Vocabulary, name: str, are_integers: bool) -> None:
    of_field, _ = learned(vocabulary, name)
    missing = str(MISSING_INTEGER) if are_integers else MISSING_TEXT
    wrong = of_field.filter(pc.equal(of_field, missing))
    expected, remedy = "a value that no missing one is sent as", "leave the column away, or write another value there"
    if are_integers and not len(wrong):
        wrong = of_field.filter(pa.array([not is_integer(value) for value in of_field.to_pylist()], pa.bool_()))
        expected, remedy = "integers of 64 bits alone", f"leave {name} out of --integers: it is then sent as text"
    if len(wrong):
        raise Refusal(found=repr(wrong[0].as_py()), expected=expected, where=f"values of {name!r}", remedy=remedy)


def _require_room(vocabulary: Vocabulary) -> None:
    texts = vocabulary.values["value"]
    num_bytes = (pc.sum(pc.binary_length(texts)).as_py() or 0) + BYTES_A_VALUE * len(texts)
    if num_bytes > MAX_TEXT_BYTES:
        raise Refusal(
            found=f"{len(texts):,} values, which take {num_bytes / 1e9:.1f} GB",
            expected=f"at most {MAX_TEXT_BYTES / 1e9:.1f} GB of values, what one file of ONNX holds",
            where="the model's vocabulary",
            remedy="train with a higher min_count, or with hash encoders, which have no values",
        )


def is_integer(text: str) -> bool:
    """Whether it is what one of 64 bits is written as."""
    try:
        return str(int(text)) == text and -(2**63) <= int(text) < 2**63
    except ValueError:
        return False
