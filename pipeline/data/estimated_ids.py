"""How many ids a log's values would have: counted where that takes a second, else estimated from a part of the rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data import passes, vocabulary
from pipeline.data.field_ids import block_size
from pipeline.data.logs import Manifest, Part
from pipeline.data.split import ResolvedSplit
from pipeline.data.value_counts import COUNTS_SCHEMA
from pipeline.data.vocabulary import Vocabulary
from schemas.checking import derived
from schemas.data import DataConfig

COUNTED_ROWS = 2_000_000


@dataclass(frozen=True, slots=True)
class IdEstimate:
    """Ids of each field and of all; `counted_rows` are those that were read for it, of `num_rows`."""

    by_field: dict[str, int]
    counted_rows: int
    num_rows: int

    @property
    def num_ids(self) -> int:
        return sum(self.by_field.values())

    @property
    def is_exact(self) -> bool:
        return self.counted_rows == self.num_rows


def estimate(manifest: Manifest, data: DataConfig, split: ResolvedSplit, most_rows: int = COUNTED_ROWS) -> IdEstimate:
    """Of the vocabulary that a training on these files would build.

    Of a larger log some row groups from all over it are counted, about `most_rows` rows, in two halves: a field's ids
    are taken to grow on as they have grown from one half to both, by a power of the number of rows. That is rather too
    many: of a log of 1.5 million rows 1.3 times its ids from a third of the rows, and 1.4 times from a fifteenth.

    Raises Refusal for rows that break the contract.
    """
    groups = manifest.parts(rows_per_part=1)
    chosen = _spread(groups, most_rows)
    halves = [chosen[::2], chosen[1::2]]
    counts = [passes.count_parts(half, passes.counting(data, split), COUNTS_SCHEMA) for half in halves]
    both = vocabulary.merge(pa.concat_tables(counts))
    whole = _ids_of_fields(vocabulary.build(data.features, both))
    counted, total = sum(part.num_rows for part in chosen), sum(part.num_rows for part in groups)
    if counted == total:
        return IdEstimate(whole, counted, total)
    fields = derived(data.features, objective="binary")  # a half may lack a class of the label, which has no ids
    parts = [_ids_of_fields(vocabulary.build(fields, vocabulary.merge(of_half))) for of_half in counts]
    grown = {
        name: _grown(number, sum(part[name] for part in parts) / 2, total / counted) for name, number in whole.items()
    }
    return IdEstimate(grown, counted, total)


def _grown(whole: int, half: float, factor: float) -> int:
    """Of `factor` times the rows, by how both halves have more than one; never more than in proportion."""
    power = min(1.0, max(0.0, log2(whole / half)))
    grown: float = whole * factor**power
    return round(grown)


def _ids_of_fields(vocab: Vocabulary) -> dict[str, int]:
    """All ids of each field: its own from the start, and those of its values."""
    own = {ids.name: 2 + block_size(field, ids) for field, ids in zip(vocab.spec.fields, vocab.fields, strict=True)}
    for counted in pc.value_counts(vocab.values["field"]).to_pylist():
        own[counted["values"]] += counted["counts"]
    return own


def _spread(groups: Sequence[Part], most_rows: int) -> list[Part]:
    """Evenly over all of them, as many as have about so many rows; two at least, if there are two."""
    total = sum(part.num_rows for part in groups)
    if total <= most_rows:
        return list(groups)
    number = min(len(groups), max(2, round(len(groups) * most_rows / total)))
    return [groups[index * len(groups) // number] for index in range(number)]
