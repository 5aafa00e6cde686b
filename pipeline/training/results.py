"""What the stages of a run have published, read back from its folder."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from pipeline.data.store import SplitName, Store
from pipeline.data.windows import local_windows
from pipeline.evaluation import objectives
from pipeline.evaluation.bootstrap import Bootstrap, compare
from pipeline.evaluation.lift import Control, Lift, reached_at
from pipeline.evaluation.row_sums import RowSums
from pipeline.runtime import files, trusted
from pipeline.training import checkpoint, published
from pipeline.training.checkpoint import Progress
from pipeline.training.published import stage_uri
from schemas.plan import lineages
from schemas.stage import StageConfig

CALLED = {"fm": "FM", "dnn": "DNN", "fnn": "FNN", "deepfm": "DeepFM"}


def progress(run_uri: str, stage: str) -> Progress:
    """Where the stage ended; its results among it."""
    return trusted.read(f"{stage_uri(run_uri, stage)}/{checkpoint.PROGRESS}", checkpoint.parse_progress)


def held_out_sums(run_uri: str, stage: str) -> RowSums:
    """The sums that the stage's logits over all held-out rows add up to."""
    uri = f"{stage_uri(run_uri, stage)}/{published.HELD_OUT_SUMS}"
    return trusted.read(uri, lambda npz: objectives.from_arrays(trusted.arrays(npz)))


def held_out_logits(run_uri: str, stage: str) -> NDArray[np.float32]:
    """[R] of all held-out rows, in the store's order; of classes [R, C]."""
    return logits_in(stage_uri(run_uri, stage), published.HELD_OUT_LOGITS)


def logits_in(uri: str, kind: str) -> NDArray[np.float32]:
    """[R] or [R, C] of a split, in the store's order; `kind` is what files of them are called before the rank."""
    of_group: dict[int, NDArray[np.float32]] = {}
    for name in files.names(uri):
        if name.startswith(kind):
            of_group |= trusted.read(f"{uri}/{name}", _logits_of_groups)
    return np.concatenate([of_group[number] for number in sorted(of_group)])


def _logits_of_groups(npz: bytes) -> dict[int, NDArray[np.float32]]:
    return {int(number): logits for number, logits in trusted.arrays(npz).items()}


def lifts(run_uri: str, stages: Sequence[StageConfig], store: Store, num_fields: int, seed: int) -> dict[str, Lift]:
    """Stage -> what pretraining bought it, of each that has a control among the `stages`, which are all published."""
    of_name = {stage.name: stage for stage in stages}
    controls = [stage for stage in stages if stage.control_of in of_name]
    if not controls:
        return {}
    held_out, draws = labels_of(store, "test", num_fields), Bootstrap(seed=seed)
    found: dict[str, Lift] = {}
    for control in controls:
        stage = of_name[control.control_of or ""]
        earlier = [of_name[name] for name in lineages(stages)[stage.name]]
        own, its = (progress(run_uri, one.name) for one in (stage, control))
        before = sum(progress(run_uri, one.name).seconds for one in earlier)
        logits, base_logits = (held_out_logits(run_uri, one.name) for one in (stage, control))
        against = Control(
            f"{_called(control)} alone",
            its.seconds,
            its.results.get("ne"),
            compare(logits, base_logits, *held_out, draws, store.target.objective),
        )
        name = " then ".join(_called(one) for one in (*reversed(earlier), stage))
        lift = found.get(stage.name) or Lift(name, before + own.seconds, own.results.get("ne"))
        if control.days == "affordable":
            rate = max(own.rows_seen, 1) / max(own.seconds, 1e-9)
            curve = [(rows_seen / rate, ne) for rows_seen, ne in own.curve]
            reached = reached_at(curve, its.published_ne or -inf, before)
            lift = replace(lift, at_equal_time=against, seconds_to_reach=reached)
        else:
            lift = replace(lift, at_equal_rows=against)
        found[stage.name] = lift
    return found


def _called(stage: StageConfig) -> str:
    return CALLED[stage.model] if stage.members == 1 else f"{stage.members} x {CALLED[stage.model]}"


def labels_of(
    store: Store, split: SplitName, num_fields: int
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Labels and row weights of all rows of a split, in the store's order."""
    windows = list(local_windows(store, split, num_fields, 0, 1))
    weights = [rows.row_weights for rows in windows if rows.row_weights is not None]
    return np.concatenate([rows.labels for rows in windows]), np.concatenate(weights) if weights else None
