"""What a stage's model makes of rows that it does not train on, each rank of its share of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import tee

import numpy as np
from numpy.typing import NDArray

from pipeline.data.batch import SCORED_ROWS, Batch
from pipeline.data.rows import Rows
from pipeline.data.store import SplitName
from pipeline.data.windows import local_windows
from pipeline.embedding.sharding import Placement
from pipeline.evaluation.objectives import sums_of
from pipeline.evaluation.row_sums import RowSums
from pipeline.training import collectives, loop
from pipeline.training.checkpoint import StageState
from pipeline.training.losses import Diverged
from pipeline.training.rank import Rank


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """Judges a stage's state by rows of the rank's store. All ranks must ask it for the same, together."""

    rank: Rank
    state: StageState
    placement: Placement
    samples: dict[tuple[SplitName, int], list[tuple[int, Rows]]] = field(default_factory=dict)
    """This rank's windows of the samples that were asked for: to find a few rows, all are read."""

    @property
    def kind_of_sums(self) -> type[RowSums]:
        return sums_of(self.state.target.objective)

    def sums(
        self, split: SplitName, sample_rows: int | None = None, kept: dict[str, NDArray[np.float32]] | None = None
    ) -> RowSums:
        """Over all ranks, on every rank; of about `sample_rows` rows alone, always the same ones, where it is given.

        Window -> logits of this rank's are put into `kept`, where it is given.
        """
        total, is_finite = self.kind_of_sums.zero(), True
        for number, rows, logits in self.windows(split, sample_rows):
            if kept is not None:
                kept[str(number)] = logits
            if np.isfinite(logits).all():
                groups = rows.groups if sample_rows is None else None
                total += self.kind_of_sums.of(logits, rows.labels, rows.row_weights, groups)
            else:
                is_finite = False
        self.require_finite(is_finite)
        return collectives.add_up(total)

    def require_finite(self, is_finite: bool) -> None:
        """Raise Diverged on all ranks where one of them has found logits that are no numbers."""
        if not all(collectives.gather([is_finite])):
            progress = self.state.progress
            raise Diverged(
                f"stage {progress.stage!r}, step {progress.step}: the logits of rows that it does not train on are no "
                f"numbers: the loss would be none; a lower learning rate is the usual remedy"
            )

    def windows(
        self, split: SplitName, sample_rows: int | None = None
    ) -> Iterator[tuple[int, Rows, NDArray[np.float32]]]:
        """This rank's windows: which one of the split's it is, its rows, and their logits [R], or [R, C] of classes.

        The ranks' windows together are all of the split. A sample takes as many rows of each.
        """
        self.state.table.settle()
        shares, again = tee(self._slices(split, sample_rows))
        batches = (Batch.of(rows, 0, len(rows)) for _, rows in again)
        predictions = loop.predict(self.state, self.placement, batches, self.rank.num_fields)
        last = -1
        window: list[Rows] = []
        logits: list[NDArray[np.float32]] = []
        for (number, rows), (_, logits_B) in zip(shares, predictions, strict=False):
            if number != last and window:
                yield last, Rows.concatenate(window), np.concatenate(logits)
                window, logits = [], []
            last = number
            window.append(rows)
            logits.append(logits_B.cpu().numpy())
        if window:
            yield last, Rows.concatenate(window), np.concatenate(logits)
        for _ in predictions:  # a rank whose share has ended goes on answering those that still score
            pass

    def _slices(self, split: SplitName, sample_rows: int | None) -> Iterator[tuple[int, Rows]]:
        """Which window, and some of its rows."""
        if sample_rows is None:
            windows = self._windows(split)
        else:
            share = min(1.0, sample_rows / max(1, self.rank.store.num_rows(split)))
            if (split, sample_rows) not in self.samples:
                first = (
                    (number, rows.slice(0, max(1, round(share * len(rows))))) for number, rows in self._windows(split)
                )
                self.samples[split, sample_rows] = [(number, Rows.concatenate([rows])) for number, rows in first]
            windows = iter(self.samples[split, sample_rows])
        for number, rows in windows:
            for start in range(0, len(rows), SCORED_ROWS):
                yield number, rows.slice(start, start + SCORED_ROWS)

    def _windows(self, split: SplitName) -> Iterator[tuple[int, Rows]]:
        rank = self.rank
        own = local_windows(rank.store, split, rank.num_fields, rank.index, rank.count)
        return ((rank.index + index * rank.count, rows) for index, rows in enumerate(own))
