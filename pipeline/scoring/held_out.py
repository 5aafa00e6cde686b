"""Held-out rows scored from the raw log: added up to figures, or kept row by row for the gate to decide by."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as pt
import torch
from numpy.typing import NDArray

from pipeline.data import quality, spread
from pipeline.data.columns import texts
from pipeline.data.logs import Manifest, Part, read_part
from pipeline.data.rows import Rows
from pipeline.data.split import ResolvedSplit
from pipeline.data.spread import Shared
from pipeline.data.target import Target
from pipeline.evaluation.bootstrap import Bootstrap
from pipeline.evaluation.evidence import Evidence
from pipeline.evaluation.intervals import intervals
from pipeline.evaluation.objectives import from_bytes, sums_of
from pipeline.evaluation.row_sums import Metrics, RowSums
from pipeline.evaluation.slices import Pair, slices
from pipeline.registry.bundle import Bundle
from pipeline.scoring.score import one_thread
from schemas.checking import derived
from schemas.config import DataConfig
from schemas.features import Objective
from schemas.night import GateConfig
from schemas.scores import require_finite

LOGIT, LABEL, WEIGHT, GROUP = "nightjar.logit", "nightjar.label", "nightjar.weight", "nightjar.group"
DAY, PART = "nightjar.day", "nightjar.part"
SUMS_SCHEMA = pa.schema([("day", pa.date32()), ("sums", pa.binary())])


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Held-out rows of a row group: as they lie in the log, encoded, and what the model makes of them."""

    table: pa.Table
    rows: Rows
    logits: NDArray[np.float32]


def held_out_tables(
    part: Part, bundle: Bundle, data: DataConfig, split: ResolvedSplit, columns: Sequence[str] = ()
) -> Iterator[tuple[pa.Table, str]]:
    """The sound held-out rows of a part, a row group at a time, and its place to name in an error.

    They have these `columns` of the log beside those of the config and of the bundle. Raises Refusal for rows that
    break the contract; a `max_bad_share` above 0 leaves them out (`quality.sound_rows`).
    """
    wanted = list(dict.fromkeys([*data.features.columns, *bundle.spec.columns, *columns]))
    for table, where in read_part(part, wanted):
        sound = quality.sound_rows(table, data.features, where, data.max_bad_share, bundle.vocabulary.classes)
        yield sound.filter(pa.array(split.is_held_out(sound, part.day))), where


def scored_rows(
    part: Part, bundle: Bundle, data: DataConfig, split: ResolvedSplit, columns: Sequence[str] = ()
) -> Iterator[Scored]:
    """`held_out_tables`, scored.

    Raises Failure for rows of which the model makes no finite number.
    """
    for table, where in held_out_tables(part, bundle, data, split, columns):
        rows = bundle.encoder.encode(table)
        logits = bundle.logits(rows)
        require_finite(logits, where)
        yield Scored(table, rows, logits)


def learned_days(bundle: Bundle, split: ResolvedSplit) -> tuple[date, ...]:
    """The held-out days of which the bundle has learned rows, the judged ones perhaps among them.

    Empty where it was itself trained without the rows that are judged: held out by the same key and seed, in as large a
    share or a larger one.
    """
    its, own = bundle.contents.origin.held_out_by, split.by_key
    if its and own and (its.row_key, its.seed) == (own.row_key, own.seed) and its.test_share >= own.test_share:
        return ()
    return tuple(sorted({*split.test_days} & {*bundle.contents.origin.training_days}))


def evaluate(bundle: Bundle, manifest: Manifest, data: DataConfig, split: ResolvedSplit) -> RowSums:
    """What the bundle makes of the held-out rows of the manifest, as `evaluate_days` of all days together."""
    return sum(evaluate_days(bundle, manifest, data, split).values(), sums_of(bundle.spec.objective).zero())


def evaluate_days(bundle: Bundle, manifest: Manifest, data: DataConfig, split: ResolvedSplit) -> dict[date, RowSums]:
    """Of each held-out day what the bundle makes of its rows; read and checked by its own spec, not the config's.

    Raises Refusal as `held_out_tables` does.
    """
    shared = Shared(bundle)
    own, kind = derived(data, features=bundle.spec), sums_of(bundle.spec.objective)

    def judge(part: Part) -> pa.Table:
        torch.set_num_threads(1)
        total = kind.zero()
        for one in scored_rows(part, shared.value, own, split):
            total += kind.of(one.logits, one.rows.labels, one.rows.row_weights, one.rows.groups)
        return pa.table([[part.day], [total.to_bytes()]], schema=SUMS_SCHEMA)

    parts = manifest.of_days(split.test_days).parts(data.rows_per_part)
    by_day = dict.fromkeys(split.test_days, kind.zero())
    with one_thread():
        for table in spread.map_parts(parts, judge, SUMS_SCHEMA, shared=shared):
            for one in table.to_pylist():
                by_day[one["day"]] += from_bytes(one["sums"])
    return by_day


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What a model makes of the held-out rows, in the order of days, parts and rows: the same for every model.

    Some 20 bytes a row, of classes 4 more for each, and those of the columns that were asked for.
    """

    rows: pa.Table
    objective: Objective = "binary"

    @cached_property
    def logits(self) -> NDArray[np.float32]:
        """[R], or [R, C]"""
        column = self.rows.column(LOGIT)
        if not pt.is_fixed_size_list(column.type):
            return self._numbers(LOGIT)
        of_classes: NDArray[np.float32] = column.combine_chunks().flatten().to_numpy()
        return of_classes.reshape(-1, column.type.list_size)

    @cached_property
    def labels(self) -> NDArray[np.float32]:
        return self._numbers(LABEL)

    @cached_property
    def weights(self) -> NDArray[np.float32] | None:
        return self._numbers(WEIGHT) if WEIGHT in self.rows.column_names else None

    @cached_property
    def sums(self) -> RowSums:
        groups = self._numbers(GROUP) if GROUP in self.rows.column_names else None
        return sums_of(self.objective).of(self.logits, self.labels, self.weights, groups)

    def by_day(self) -> dict[date, Metrics]:
        """The metrics of each held-out day by itself; without GAUC."""
        days, found = self._numbers(DAY), {}
        for day in np.unique(days):
            own = days == day
            weights = None if self.weights is None else self.weights[own]
            found[day.astype(object)] = (
                sums_of(self.objective).of(self.logits[own], self.labels[own], weights).metrics()
            )
        return found

    def _numbers(self, name: str) -> NDArray[Any]:
        numbers: NDArray[Any] = self.rows.column(name).to_numpy()
        return numbers


def score_held_out(
    bundle: Bundle, manifest: Manifest, data: DataConfig, split: ResolvedSplit, columns: Sequence[str] = ()
) -> HeldOut:
    """Score the held-out rows of the manifest; `columns` of the log are kept beside the logits.

    Raises Refusal as `held_out_tables` does.
    """
    shared = Shared(bundle)
    types = _types(data, bundle.vocabulary.target, columns)

    def judge(part: Part) -> pa.Table:
        torch.set_num_threads(1)
        judged = [_columns(one, part, types) for one in scored_rows(part, shared.value, data, split, columns)]
        return pa.concat_tables([types.empty_table(), *judged])

    parts = manifest.of_days(split.test_days).parts(data.rows_per_part)
    with one_thread():
        rows = pa.concat_tables([types.empty_table(), *spread.map_parts(parts, judge, types, shared=shared)])
    # map_parts yields as parts arrive; within a part the rows are in order, which a stable sort keeps.
    keys = np.lexsort([rows.column(PART).to_numpy(), rows.column(DAY).to_numpy()])
    return HeldOut(rows.take(pa.array(keys)), data.features.objective)


def gather(candidate: HeldOut, champion: HeldOut | None, gate: GateConfig, seed: int) -> Evidence:
    """Compare the two, which are of the same rows and objective, row by row, over all rows and over each slice."""
    draws = Bootstrap(gate.num_replicates, seed, gate.confidence)
    logits = None if champion is None else champion.logits
    pair = Pair(candidate.logits, logits, candidate.labels, candidate.weights, candidate.objective)
    return Evidence(
        candidate=candidate.sums.metrics(),
        champion=None if champion is None else champion.sums.metrics(),
        change=pair.change(draws),
        bounds=intervals(candidate.sums, gate.confidence),
        champion_bounds={} if champion is None else intervals(champion.sums, gate.confidence),
        slices=slices(candidate.rows.select(list(gate.slices)), pair, gate.slice_min_rows, draws),
    )


def _types(data: DataConfig, target: Target, columns: Sequence[str]) -> pa.Schema:
    logit = pa.list_(pa.float32(), len(target.classes)) if target.classes else pa.float32()
    fields = [(DAY, pa.date32()), (PART, pa.int32()), (LOGIT, logit), (LABEL, pa.float32())]
    fields += [(WEIGHT, pa.float32())] if data.features.weight else []
    fields += [(GROUP, pa.int64())] if data.features.group else []
    return pa.schema([*fields, *((name, pa.string()) for name in columns)])


def _columns(one: Scored, part: Part, types: pa.Schema) -> pa.Table:
    found = {
        DAY: pa.repeat(pa.scalar(part.day, pa.date32()), len(one.rows)),
        PART: pa.repeat(pa.scalar(part.index, pa.int32()), len(one.rows)),
        LOGIT: _as_column(one.logits),
        LABEL: one.rows.labels,
        WEIGHT: one.rows.row_weights,
        GROUP: one.rows.groups,
    }
    columns = [found[name] if name in found else texts(one.table.column(name)) for name in types.names]
    return pa.table(columns, types.names).cast(types)


def _as_column(logits: NDArray[np.float32]) -> pa.Array:
    """A value a row, or of classes [R, C] a list of as many."""
    if logits.ndim == 1:
        return pa.array(logits)
    return pa.FixedSizeListArray.from_arrays(pa.array(logits.ravel()), logits.shape[1])
