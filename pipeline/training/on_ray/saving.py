"""Checkpoints of ranks on Ray: after so many steps, after so many seconds, and when a node of theirs is about to go."""

import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import ray.train
from ray.train.collective import broadcast_from_rank_zero

from pipeline.runtime import load
from pipeline.training import checkpoint
from pipeline.training.checkpoint import StageState
from pipeline.training.early_stop import BEST, Watch
from pipeline.training.on_ray import allocation, snapshot
from pipeline.training.on_ray.allocation import Need
from pipeline.training.rank import Rank
from pipeline.training.stage import Checkpoints, Moved, has_a_part

LOOK_SECONDS = 2.0  # between two looks at the clock and at the nodes, for which the ranks wait some milliseconds


class RankCheckpoints(Checkpoints):
    """All ranks' of one stage, kept by Ray Train. Rank 0's clock decides for all; none of it changes a bit."""

    def __init__(self, rank: Rank, failures: Mapping[str, str]) -> None:
        super().__init__(rank.config.checkpoint.every_steps)
        self._rank, self._failures = rank, failures
        self._every_seconds = rank.config.checkpoint.every_seconds
        self._saved = self._looked = time.monotonic()
        self._looked_at_step: int | None = None
        self._next_look = 0
        self._is_told = self._is_leaving = False

    def are_due(self, step: int) -> bool:
        is_due = super().are_due(step)
        if step >= self._next_look:
            by_clock, self._is_leaving, self._next_look = self._look(step)
            is_due = is_due or by_clock or self._is_leaving
        return is_due

    def save(self, state: StageState, watch: Watch) -> None:
        """Each rank's shard, or rank 0's whole; a barrier for all."""
        with tempfile.TemporaryDirectory() as name:
            folder, saved = Path(name), None
            if has_a_part(self._rank, state):
                self._write(state, watch, folder)
                saved = ray.train.Checkpoint.from_directory(folder)
            progress = state.progress
            ray.train.report({"stage": progress.stage, "step": progress.step}, checkpoint=saved)
        self._saved = time.monotonic()
        if self._is_leaving:
            raise Moved

    def _write(self, state: StageState, watch: Watch, folder: Path) -> None:
        checkpoint.save(state, folder)
        if self._rank.index == 0:
            snapshot.keep_failures(self._failures, folder)
        if watch.best_dir.is_dir():
            (folder / BEST).mkdir()
            # All that rank 0 has: where the number of ranks has changed since, that is everyone's.
            for file in watch.best_dir.iterdir():
                if self._rank.index == 0 or file.name in checkpoint.own_files(state.table.shard):
                    shutil.copy(file, folder / BEST)

    def _look(self, step: int) -> tuple[bool, bool, int]:
        """Whether a checkpoint is due, whether the ranks are to leave after it, and the step of the next look."""
        going = ray.train.get_preemption_info()
        now = time.monotonic()
        by_clock = self._every_seconds is not None and now - self._saved >= self._every_seconds
        is_first, self._is_told = going is not None and not self._is_told, going is not None
        is_leaving = going is not None and self._rank.index == 0 and self._is_room_elsewhere(len(going.preempted_ranks))
        own = by_clock or is_first, is_leaving, self._after(step, now)
        said: tuple[bool, bool, int] = broadcast_from_rank_zero(own)
        return said

    def _after(self, step: int, now: float) -> int:
        """The step that will come in LOOK_SECONDS, by how long those since the last look have taken."""
        last, self._looked_at_step = self._looked_at_step, step
        seconds, self._looked = now - self._looked, now
        if last is None or last == step:
            return step + 1
        return step + max(1, int(LOOK_SECONDS * (step - last) / max(seconds, 1e-9)))

    def _is_room_elsewhere(self, num_going: int) -> bool:
        """For as many as sit on nodes that go, or for fewer where the run may do with fewer."""
        config = self._rank.config
        need, num_staying = Need.of(config.cluster), self._rank.count - num_going
        return allocation.num_ranks(load.of_cluster().nodes, need, config.numbers_of_ranks, num_staying) > 0
