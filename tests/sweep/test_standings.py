"""What is left to be made of a sweep of several seeds, also when it is begun again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sweep_folder import RATE, settings_of, task_of

from pipeline.registry import sweep_runs
from pipeline.registry.tracking import connect
from pipeline.sweep.outcome import Look
from pipeline.sweep.standings import Standings
from pipeline.sweep.task import LOOKS, Attempt
from schemas.config import TrainConfig
from schemas.loading import load
from schemas.sweep import draw_trials

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of MLflow's own
SPACE = {RATE: {"choice": [0.1, 0.2, 0.3, 0.4]}}


@contextmanager
def standings(folder: Path, num_seeds: int) -> Iterator[Standings]:
    """Of a sweep of four trials, as one call of the command has them."""
    config = load(TrainConfig, folder / "train.yaml")
    settings = settings_of(SPACE, trials=4, seeds=num_seeds)
    trials = draw_trials(settings, folder / "train.yaml", [], "sweep.yaml")
    task = task_of(folder, rates=(0.1, 0.2, 0.3, 0.4))
    tracking = connect(config.mlflow, str(folder))
    with sweep_runs.recorded(tracking, "identity", settings, config, trials) as runs:
        yield Standings(task.of_seeds(num_seeds), trials, runs, lambda event: None)


def make(standings: Standings, attempt: Attempt, ne: float, num_looks: int = LOOKS) -> None:
    """An attempt that looks so often, and finds that NE at the last."""
    standings.start(attempt)
    for number in range(1, num_looks + 1):
        standings.look(attempt, Look(number, ne + (num_looks - number) / 100, 0.6))
    standings.complete(attempt)


def test_finalists_alone_are_made_with_the_other_seeds_and_a_sweep_begun_again_makes_what_is_missing(folder):
    with standings(folder, num_seeds=3) as first:
        assert first.open() == [(1, 0), (2, 0), (3, 0), (4, 0)]
        make(first, (1, 0), 0.7)
        make(first, (2, 0), 0.8, num_looks=2)
        make(first, (3, 0), 0.75)
        assert first.further() == [(1, 1), (1, 2), (3, 1), (3, 2)], "of what the first seed has brought to its end"
        make(first, (4, 0), 0.6, num_looks=2)
        make(first, (1, 1), 0.9)
        first.start((3, 1))
        first.give_up((3, 1), "the process died")
        assert first.outcome(3).failure == "with seed 2 of 3: the process died"
        assert not first.are_all_over
        first.run_out("no time is left")
        statuses = {number: first.runs.client.get_run(run).info.status for number, run in first.runs.trials.items()}
        assert statuses == {1: "FINISHED", 2: "FINISHED", 3: "FAILED", 4: "FINISHED"}

    with standings(folder, num_seeds=3) as again:
        assert again.open() == []
        assert again.further() == [(1, 2), (3, 1), (3, 2)], "what a lost process was at, too"
        make(again, (1, 2), 0.8)
        again.start((3, 1))
        again.fail((3, 1), "it diverged")
        again.complete((3, 1))
        assert again.are_all_over
        make(again, (3, 2), 0.1)
        assert [again.outcome(number).judged.num_seeds for number in (1, 2, 4)] == [3, 1, 1]
        assert again.outcome(1).judged.ne == pytest.approx(0.8)
        assert again.outcome(3).failure == "with seed 2 of 3: it diverged"
    client, runs = again.runs.client, again.runs.trials
    figures = client.get_run(runs[1]).data.metrics
    assert figures["validation/best_ne"] == pytest.approx(0.8)
    assert figures["validation/best_ne_deviation"] == pytest.approx(0.1)
    assert "validation/best_ne_deviation" not in client.get_run(runs[2]).data.metrics
    assert client.get_run(runs[3]).info.status == "FAILED"
