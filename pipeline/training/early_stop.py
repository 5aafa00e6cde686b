"""A stage watched as it trains: NE on rows held out, and where it stops early, the state that was best."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.objectives import BESIDE_NE
from pipeline.runtime import files
from pipeline.training import checkpoint, published
from pipeline.training.validation import Judge
from schemas.stage import StageConfig

CURVE_LOOKS = 16  # at the held-out rows, in a stage: what its lift is read from, and nothing is decided by
SAMPLE_ROWS = (4096, 32_768)  # of them at each look: a SAMPLE_SHARE of the training rows, within these bounds
SAMPLE_SHARE = 1 / 32
BEST = "best"


@dataclass(slots=True)
class Watch:
    """Looks at fixed steps; all ranks look together, and come to the same."""

    stage: StageConfig
    judge: Judge
    folder: Path
    """For the best state, as long as the stage takes."""
    own: Path | None = None
    """The checkpoint that training goes on from, which holds the best state so far."""
    is_over: bool = False
    """Validation NE has not fallen for as long as the stage's patience goes."""

    def __post_init__(self) -> None:
        if self.own is not None and (self.own / BEST).is_dir():
            copytree(self.own / BEST, self.best_dir)

    @property
    def num_steps(self) -> int:
        return self.judge.rank.num_steps(self.stage)

    @property
    def best_dir(self) -> Path:
        """Holds this rank's part of the best state, once there is one."""
        return self.folder / BEST

    def next_look(self, step: int) -> int:
        """The next step after `step` that is followed by a look; the last one of the stage is."""
        curve = (round(i * self.num_steps / CURVE_LOOKS) for i in range(1, CURVE_LOOKS + 1))
        return min(one for one in {*curve, *self._validation_steps(), self.num_steps} if one > step)

    def look(self) -> dict[str, float]:
        """What there is to log after the step just done."""
        progress, found = self.judge.state.progress, {}
        least, most = SAMPLE_ROWS
        sample_rows = min(most, max(least, round(SAMPLE_SHARE * self.judge.rank.store.num_rows("train"))))
        held_out = self.judge.sums("test", sample_rows).metrics()
        if held_out.ne is not None:
            found["sample/ne"] = held_out.ne
            progress.curve.append([float(progress.rows_seen), held_out.ne])
        if progress.step in self._validation_steps():
            kept: dict[str, NDArray[np.float32]] | None = {} if self.judge.rank.looks_uri else None
            validation = self.judge.sums("validation", kept=kept).metrics()
            if validation.ne is not None:
                beside = BESIDE_NE[validation.objective]
                found |= {"validation/ne": validation.ne, f"validation/{beside}": getattr(validation, beside)}
                self._weigh(validation.ne, kept)
        return found

    def restore_best(self) -> None:
        """Go back to the best state, if there was a better one than this; the count of rows and seconds stays."""
        progress = self.judge.state.progress
        if self.best_dir.is_dir() and progress.best_step != progress.step:
            checkpoint.restore(self.judge.state, self.best_dir)
            self.judge.state.progress = progress

    def _weigh(self, ne: float, logits: Mapping[str, NDArray[np.float32]] | None) -> None:
        assert self.stage.early_stop is not None
        state = self.judge.state
        progress = state.progress
        if progress.best_ne is None or ne < progress.best_ne:
            progress.best_ne, progress.best_step, progress.looks_since_best = ne, progress.step, 0
            self.best_dir.mkdir(exist_ok=True)
            checkpoint.save(state, self.best_dir, with_dense=True)
            if logits is not None:
                rank = self.judge.rank
                name = f"{published.VALIDATION_LOGITS}{rank.index}-of-{rank.count}.npz"
                files.write_bytes(f"{rank.looks_uri}/{name}", published.npz(logits))
        else:
            progress.looks_since_best += 1
            self.is_over = progress.looks_since_best >= self.stage.early_stop.patience

    def _validation_steps(self) -> set[int]:
        if self.stage.early_stop is None:
            return set()
        every = max(1, round(self.stage.early_stop.every_epochs * self.judge.rank.steps_per_epoch(self.stage)))
        return {*range(every, self.num_steps, every), self.num_steps}
