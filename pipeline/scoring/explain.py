"""What each field is worth to a model: some held-out rows scored again, each time with one field's cells exchanged."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import numpy as np
import torch

from pipeline.data import spread, variety
from pipeline.data.exchange import Exchange
from pipeline.data.logs import Manifest
from pipeline.data.rows import Rows
from pipeline.data.split import ResolvedSplit
from pipeline.evaluation.objectives import sums_of
from pipeline.evaluation.worth import FieldWorth, Worth
from pipeline.registry.bundle import Bundle
from pipeline.runtime.progress import Event, Show
from pipeline.scoring.sample import row_without_values, sample
from pipeline.scoring.score import one_thread
from schemas.config import DataConfig, ExplainConfig
from schemas.scores import require_finite

TASK = "explain"


def explain(
    bundle: Bundle, manifest: Manifest, data: DataConfig, split: ResolvedSplit, how: ExplainConfig, show: Show
) -> Worth:
    """What each field of the bundle is worth on about `how.rows` of the held-out rows; on all, where they are fewer.

    These are read and encoded once, and then scored `how.repeats` + 1 times a field, by a thread a processor. Memory
    does not grow with the log. Raises Refusal for rows of one class, and as `sample` does.
    """
    show(Event(TASK, 0, len(bundle.spec.fields)))
    rows, where = sample(bundle, manifest, data, split, how.rows), data.logs_uri
    with one_thread():
        return worth_of(bundle, rows, how.repeats, where, show)


def worth_of(bundle: Bundle, rows: Rows, repeats: int, where: str, show: Show) -> Worth:
    """Of each field, on these rows; every field is shuffled by the same permutations, whatever the others are.

    `where` they are from is told in a refusal. Weighted rows weigh in NE, not in who takes whose value.
    """
    ne = _ne(bundle, rows, where)
    if ne is None:
        _refuse(rows, bundle, where)
    found: list[FieldWorth] = []
    for field, changed in zip(bundle.spec.fields, _changed(bundle, rows, repeats, where), strict=True):
        *shuffles, missing = (one - ne for one in changed)
        found.append(FieldWorth(field.name, tuple(shuffles), missing))
        if len(found) < rows.num_fields:
            show(Event(TASK, len(found), rows.num_fields, field.name, len(rows)))
    worth = Worth(len(rows), ne, tuple(found))
    show(Event(TASK, len(found), len(found), f"{worth.by_rise[0].name} is worth the most", len(rows)))
    return worth


def _changed(bundle: Bundle, rows: Rows, repeats: int, where: str) -> Iterator[list[float]]:
    """Field by field, NE by each shuffle of its cells, and at last without them."""
    chance = np.random.default_rng(0)
    among, against_none = Exchange(rows, rows), Exchange(rows, row_without_values(bundle))
    exchanges = [(among, chance.permutation(len(rows))) for _ in range(repeats)]
    exchanges.append((against_none, np.zeros(len(rows), np.int64)))

    def of_field(field: int) -> list[float]:
        torch.set_num_threads(1)
        nes = [_ne(bundle, exchange.of_field(field, order), where) for exchange, order in exchanges]
        return [ne for ne in nes if ne is not None]  # the labels are the same, and so is whether it is defined

    with ThreadPoolExecutor(min(spread.num_cpus(), spread.MOST_THREADS), TASK) as pool:
        yield from pool.map(of_field, range(rows.num_fields))


def _ne(bundle: Bundle, rows: Rows, where: str) -> float | None:
    logits = bundle.logits(rows)
    require_finite(logits, where)
    return sums_of(bundle.spec.objective).of(logits, rows.labels, rows.row_weights).metrics().ne


def _refuse(rows: Rows, bundle: Bundle, where: str) -> NoReturn:
    """Rows whose labels do not differ, so that any constant tells them."""
    if bundle.spec.objective == "binary":
        variety.check_classes(len(rows), int(rows.labels.sum()), "held-out", where)
    labels = [bundle.vocabulary.target.name(float(label)) for label in np.unique(rows.labels)]
    variety.check_labels(len(rows), labels, "held-out", where)
    raise AssertionError(f"NE of {len(rows)} rows of the labels {labels} is undefined")
