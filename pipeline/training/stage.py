"""One stage on one rank, from where it starts to what it makes of the held-out rows, wherever its rows come from."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.data.background import Ahead
from pipeline.data.batch import Batch
from pipeline.data.rows import Rows
from pipeline.data.store import SplitName
from pipeline.data.windows import WINDOW_ROWS
from pipeline.embedding.sharding import place
from pipeline.evaluation import calibration
from pipeline.evaluation.calibration import Calibration
from pipeline.evaluation.metrics import VALIDATION
from pipeline.evaluation.row_sums import RowSums
from pipeline.runtime import trusted
from pipeline.runtime.progress import Point, Report
from pipeline.training import checkpoint, collectives, initialize, loop, pretrain_layers, published
from pipeline.training.checkpoint import StageState
from pipeline.training.curves import Curves
from pipeline.training.early_stop import Watch
from pipeline.training.losses import loss_of
from pipeline.training.rank import Rank, batch_starts
from pipeline.training.step import TrainingStep, build_step, in_words, require_finite
from pipeline.training.validation import Judge
from schemas.stage import StageConfig

Windows = Callable[[int], Iterator[Rows]]
"""(rows of a window) -> this rank's share of one epoch, in windows of so many."""


class Moved(Exception):
    """The ranks leave, after a checkpoint, to go on from it elsewhere."""


class Checkpoints:
    """When one is made of a stage, and how. Without a place to keep them in, as here, the state is only looked at."""

    def __init__(self, every_steps: int) -> None:
        self._every_steps = every_steps

    def are_due(self, step: int) -> bool:
        """Whether one is to be made after this step; all ranks ask after each, and all are told the same."""
        return step % self._every_steps == 0

    def save(self, state: StageState, watch: Watch) -> None:
        """Make one, from which ranks that are started again go on. Raises Moved where these are to end here."""


def train_stage(
    rank: Rank, stage: StageConfig, own: Path | None, windows: Windows, report: Report, checkpoints: Checkpoints
) -> None:
    """Train the stage and publish it; `own` is its last checkpoint. Raises Diverged, and Moved as `checkpoints` do.

    Rank 0 alone reports.
    """
    began = time.time()
    done_steps = checkpoint.read_progress(own).step if own else 0
    # A window ahead, not batches: one takes as long to read and to shuffle as many steps take.
    sliced = Ahead(_sliced_windows(rank, stage, windows, done_steps), depth=1)
    with TemporaryDirectory() as folder, closing(sliced):
        # Reading has begun by now: it takes as long to begin as the state takes to make.
        state = initialize.start(rank, stage, own)
        state.progress.began = state.progress.began or began
        config = rank.config
        placement = place(state.table, rank.store.num_ids, config.table, rank.group, config.cluster.fused)
        judge = Judge(rank, state, placement)
        if stage.mlp.rbm and own is None:
            fits = pretrain_layers.pretrain(rank, state, placement, stage.mlp.rbm)
            if rank.index == 0:
                errors = {f"train/rbm_error_layer_{number}": fit.error_after for number, fit in enumerate(fits, 1)}
                report(Point(stage.name, 0, rank.num_steps(stage), errors, began=began))
        watch = Watch(stage, judge, Path(folder), own)
        step = build_step(rank, stage, state, placement)
        state.progress.steps_began = time.time()
        _Run(rank, stage, state, step, watch, report, checkpoints).take_steps(chain.from_iterable(sliced))
        state.progress.steps_ended = time.time()
        watch.restore_best()
    state.progress.settings = {**step.settings, "threads": str(torch.get_num_threads()), "days": _days(rank)}
    _publish(rank, state, judge, published.stage_uri(rank.run_uri, stage.name))


@dataclass(frozen=True, slots=True)
class _Run:
    """A stage at work on a rank."""

    rank: Rank
    stage: StageConfig
    state: StageState
    step: TrainingStep
    watch: Watch
    report: Report
    checkpoints: Checkpoints

    def take_steps(self, batches: Iterator[Batch]) -> None:
        """All that are left, with a look now and then, until the stage is over."""
        progress, watch, num_steps = self.state.progress, self.watch, self.rank.num_steps(self.stage)
        if progress.step and watch.next_look(progress.step - 1) == progress.step:
            watch.look()  # the checkpoint was made before it
        loss, computed_by = loss_of(self.state.target), in_words(self.step, self.stage)
        curves = Curves(self.stage.name, num_steps, self.report, loss, computed_by)
        while progress.step < num_steps and not watch.is_over:
            self._take_until_look(batches, curves, num_steps)
            found = watch.look()
            if found and self.rank.index == 0:
                self.report(Point(self.stage.name, progress.step, num_steps, found, began=progress.began))

    def _take_until_look(self, batches: Iterator[Batch], curves: Curves, num_steps: int) -> None:
        """No thread prepares ahead while the ranks look: both talk to the other ranks."""
        rank, stage, state, progress = self.rank, self.stage, self.state, self.state.progress
        next_look = self.watch.next_look(progress.step)
        prepared = Ahead(map(self.step.prepare, islice(batches, next_look - progress.step)))
        try:
            for done in loop.train(state, self.step, prepared, stage, num_steps, (rank.config.seed, rank.index)):
                if rank.index == 0:
                    curves.add(done, progress)
                if progress.step < num_steps and self.checkpoints.are_due(progress.step):
                    require_finite(state, stage)
                    self.checkpoints.save(state, self.watch)
        except Moved:  # all ranks leave here, and wait for nothing that their threads still prepare
            raise
        except BaseException:
            prepared.finish()  # the ranks prepare together, and none may leave the others waiting
            raise
        deque(prepared, maxlen=0)


def _sliced_windows(rank: Rank, stage: StageConfig, windows: Windows, done_steps: int) -> Iterator[list[Batch]]:
    """The batches that are still to be trained on, over all epochs, those of a window together.

    A window of rows is shuffled by a generator of its own, seeded by its place, so that a resumed run draws what an
    uninterrupted one would.
    """
    batch_size = rank.batch_size(stage)
    window_rows = max(1, WINDOW_ROWS // batch_size) * batch_size
    first_epoch, skip = divmod(done_steps, rank.steps_per_epoch(stage))
    for epoch in range(first_epoch, ceil(stage.epochs)):
        for index, rows in enumerate(windows(window_rows)):
            starts = batch_starts(len(rows), batch_size)
            if skip >= len(starts):
                skip -= len(starts)
                continue
            seed = [rank.config.seed, crc32(stage.name.encode()), epoch, index, rank.index]
            shuffled = rows.take(np.random.default_rng(seed).permutation(len(rows)))
            yield [Batch.of(shuffled, start, start + batch_size) for start in starts[skip:]]
            skip = 0


def _publish(rank: Rank, state: StageState, judge: Judge, uri: str) -> None:
    """Every rank's part, then _SUCCESS; a barrier for all."""
    layer = _calibrate(rank, judge)
    sums, of_group = _judged(judge, "test", layer)
    progress, num_rows = state.progress, rank.store.num_rows("train")
    progress.results = {
        **sums.metrics().as_dict(),
        **_validated(rank, judge, layer),
        "rows_seen": float(progress.rows_seen),
        "training_rows": float(min(num_rows, progress.rows_seen)),
        "passes": progress.rows_seen / max(1, min(num_rows, progress.rows_seen)),
        "rows_per_second": progress.rows_seen / max(progress.seconds, 1e-9),
        "seconds": progress.seconds,
    }
    progress.ended = time.time()
    extra = {f"{published.HELD_OUT_LOGITS}{rank.index}-of-{rank.count}.npz": published.npz(of_group)}
    if rank.index == 0:
        extra[published.HELD_OUT_SUMS] = sums.to_bytes()
        if layer:
            extra[published.CALIBRATION] = trusted.sealed(layer.model_dump(mode="json"))
    own = published.put(state if has_a_part(rank, state) else None, extra, uri)
    written = collectives.gather([own])  # for which the ranks wait on each other
    if rank.index == 0:
        published.publish(uri, {name: size for of_rank in written for name, size in of_rank.items()})


def _judged(
    judge: Judge, split: SplitName, layer: Calibration | None
) -> tuple[RowSums, dict[str, NDArray[np.float32]]]:
    """All ranks' sums over the split; window -> logits of this rank's, as the model gives them when it serves."""
    sums, of_group, is_finite = judge.kind_of_sums.zero(), {}, True
    for number, rows, logits in judge.windows(split):
        if not np.isfinite(logits).all():
            is_finite = False
            continue
        of_group[str(number)] = layer.apply(logits) if layer else logits
        sums += judge.kind_of_sums.of(of_group[str(number)], rows.labels, rows.row_weights, rows.groups)
    judge.require_finite(is_finite)
    return collectives.add_up(sums), of_group


def _validated(rank: Rank, judge: Judge, layer: Calibration | None) -> dict[str, float]:
    """Final figures on the validation rows, where there are some."""
    if not rank.store.num_rows("validation"):
        return {}
    figures = _judged(judge, "validation", layer)[0].metrics().as_dict()
    return {f"{VALIDATION}{name}": value for name, value in figures.items()}


def _days(rank: Rank) -> str:
    days = sorted({part.day for part in rank.store.of_split("train")})
    return f"{len(days)}, {days[0]} to {days[-1]}"


def has_a_part(rank: Rank, state: StageState) -> bool:
    """Whether this rank has something to save: its shard of the table, or as the first all that the ranks share."""
    return rank.index == 0 or state.table.shard.count > 1


def _calibrate(rank: Rank, judge: Judge) -> Calibration | None:
    """A layer over the logits, fitted to all ranks' validation rows; the same on each."""
    method = rank.config.calibration
    if method == "none":
        return None
    own = [(logits, rows.labels, rows.row_weights) for _, rows, logits in judge.windows("validation")]
    judge.require_finite(all(np.isfinite(logits).all() for logits, *_ in own))
    pieces = collectives.gather(own)
    logits, labels = (np.concatenate([piece[i] for piece in pieces]) for i in (0, 1))
    weights = [piece[2] for piece in pieces if piece[2] is not None]
    return calibration.fit(method, logits, labels, np.concatenate(weights) if weights else None)
