"""What one trial does, in a process of Tune's: train its stages in one rank, and report each look."""

from collections.abc import Mapping, Sequence

import fsspec
import torch
from ray import tune

from pipeline.registry.sweep_runs import LOOK_NE, LOOKS
from pipeline.runtime import files
from pipeline.runtime.progress import Point, Report
from pipeline.sweep.task import Attempt, Task
from pipeline.training import local, memory, published
from pipeline.training.losses import Diverged
from pipeline.training.published import stage_uri
from pipeline.training.rank import Rank
from schemas.stage import StageConfig
from schemas.sweep import lineage

WORST_NE = 1e6  # of a trial that diverged; a number, since ASHA takes percentiles


def run_trial(drawn: Mapping[str, Attempt], tasks: Mapping[int, Task]) -> None:
    """What Tune calls with an attempt at a trial, and stops by an exception out of a report; `tasks` are by seed."""
    number, seed = drawn["attempt"]
    task = tasks[seed]
    config, uri = task.configs[number], task.trial_uri(number)
    num_looks = 0

    def report(point: Point) -> None:
        nonlocal num_looks
        if point.stage == task.stage and LOOK_NE in point.metrics:
            num_looks += 1
            found = {name.removeprefix(LOOKS): one for name, one in point.metrics.items() if name.startswith(LOOKS)}
            tune.report({**found, "look": num_looks, "step": point.step})

    files.remove(uri)  # of an earlier attempt
    for stage in task.shared:
        _copy(stage_uri(task.shared_uri, stage.name), stage_uri(uri, stage.name))
    rank = Rank(config, task.store, uri, looks_uri=task.logits_uri(number) if seed == 0 else "")
    failure = train(rank, lineage(config, task.stage), report)
    if failure:
        tune.report({"ne": WORST_NE, "look": num_looks + 1, "step": 0, "failure": failure})


def train(rank: Rank, stages: Sequence[StageConfig], report: Report) -> str:
    """Train, on one thread, what is not published yet.

    Returns why that could not be done, where another attempt would come to the same.
    """
    torch.set_num_threads(1)
    memory.keep_freed()
    try:
        for stage in stages:
            if not published.is_published(stage_uri(rank.run_uri, stage.name)):
                local.run_stage(rank, stage, report)
    except (Diverged, ValueError) as error:  # a look can meet what is not finite before the next step does
        return str(error)
    return ""


def _copy(source_uri: str, target_uri: str) -> None:
    fs, target = fsspec.core.url_to_fs(target_uri)
    files.make_folder(fs, target)
    for name in files.names(source_uri):
        fs.cp_file(fsspec.core.url_to_fs(f"{source_uri}/{name}")[1], f"{target}/{name}")
