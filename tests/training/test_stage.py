from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch
from training_states import assert_same_bits

from pipeline.data.rows import Rows
from pipeline.data.store import SplitName, Store, StoredPart, complete, write_part
from pipeline.data.windows import local_windows
from pipeline.training import fitting, initialize, local, results
from pipeline.training.job import TrainingJob
from pipeline.training.published import stage_uri
from pipeline.training.rank import Rank, batch_starts
from pipeline.training.stage import Checkpoints, train_stage
from pipeline.training.step import Diverged
from schemas.checking import derived
from schemas.config import ClusterConfig, TrainConfig
from schemas.days import Span
from schemas.stage import StageConfig

NUM_EPOCHS = 1000
PATIENCE_SECONDS = 10.0
PARTS = [
    StoredPart(split, date(2026, 11, day), 0, num_rows=100 + day, num_positives=day)
    for split, days in (("train", (1, 2, 3)), ("validation", (1, 2, 3)), ("test", (4,)))
    for day in days
]


@pytest.mark.parametrize(
    ("rows", "batch_size", "steps"),
    [(8, 4, 2), (9, 4, 2), (10, 4, 3), (3, 4, 1), (5, 1, 5), (1, 4, 0)],
    ids=["even", "one-row-left-out", "short-last-batch", "one-short-batch", "batches-of-one", "a-lone-row"],
)
def test_an_epoch_has_a_step_for_each_batch_of_more_than_one_row(rows, batch_size, steps):
    assert len(batch_starts(rows, batch_size)) == steps


@pytest.fixture
def store(rows, tmp_path) -> Store:
    """The same rows to train on, to validate on and held out."""
    splits: tuple[SplitName, ...] = ("train", "validation", "test")
    parts = [StoredPart(split, date(2026, 11, 1), 0, len(rows), int(rows.labels.sum())) for split in splits]
    for part in parts:
        write_part(str(tmp_path), part, rows)
    return complete(str(tmp_path), 40, parts)


@pytest.mark.parametrize("learning_rate", [1e30, 0.1], ids=["diverges", "is-interrupted"])
def test_a_stage_that_ends_early_does_not_read_the_rows_that_it_had_left(config, rows, store, tmp_path, learning_rate):
    num_epochs = 0

    def windows(window_rows: int) -> Iterator[Rows]:
        nonlocal num_epochs
        num_epochs += 1
        yield rows

    def report(_: object) -> None:
        raise KeyboardInterrupt

    stage = StageConfig(
        name="fm",
        model="fm",
        epochs=NUM_EPOCHS,
        batch_size=16,
        embedding={"learning_rate": learning_rate},
        schedule={"type": "constant"},
    )
    rank = Rank(config, store, str(tmp_path / "run"))
    with pytest.raises((Diverged, KeyboardInterrupt)):
        train_stage(rank, stage, None, windows, report, Checkpoints(1))
    assert num_epochs < NUM_EPOCHS / 32


def test_the_next_window_is_read_and_shuffled_while_the_steps_of_one_are_taken(config, rows, store, tmp_path):
    """A step would wait for as long as that takes, once a window, if only as much was ready as a few steps need."""
    is_next_ready = Event()

    def windows(window_rows: int) -> Iterator[Rows]:
        yield Rows.concatenate([rows] * 8)
        yield rows
        is_next_ready.set()
        yield rows

    class AtOnce(Checkpoints):
        def are_due(self, step: int) -> bool:
            assert step > 1 or is_next_ready.wait(PATIENCE_SECONDS), "the first window has 80 batches"
            return False

    train_stage(Rank(config, store, str(tmp_path)), config.stages[0], None, windows, lambda point: None, AtOnce(1))


@pytest.mark.parametrize("method", ["none", "platt"])
def test_a_stage_is_judged_by_validation_rows_as_by_held_out_ones(config, rows, store, tmp_path, method):
    data = config.data.model_copy(update={"validation_share": 0.5})
    rank = Rank(config.model_copy(update={"data": data, "calibration": method}), store, str(tmp_path / "run"))
    train_stage(rank, config.stages[0], None, lambda window_rows: iter([rows]), lambda point: None, Checkpoints(1000))
    found = results.progress(rank.run_uri, "fm").results
    names = [name.removeprefix("validation_") for name in found if name.startswith("validation_")]
    assert {"ne", "auc", "log_loss", "rows"} <= set(names)
    assert {name: found[f"validation_{name}"] for name in names} == {name: found[name] for name in names}


def with_days(config: TrainConfig, *days: Any) -> TrainConfig:
    """Of each stage."""
    tree = config.model_dump()
    for stage, its in zip(tree["stages"], days, strict=True):
        stage["days"] = its
    return TrainConfig.model_validate(tree)


def test_a_rank_trains_a_stage_on_its_days_and_looks_at_all_that_are_held_out(config):
    rank = Rank(with_days(config, {"before": "deepfm"}, {"last": 2}), Store("nowhere", 40, tuple(PARTS)), "")
    fm, deepfm = (rank.on_rows_of(stage) for stage in rank.config.stages)
    assert (fm.num_rows, deepfm.num_rows) == (101, 102 + 103)
    assert fm.base_rate == pytest.approx(1 / 101)
    assert deepfm.base_rate == pytest.approx(5 / 205)
    for own in (fm, deepfm):
        assert [own.store.num_rows(split) for split in ("validation", "test")] == [306, 104]
    second = replace(rank, index=1, count=2).on_rows_of(rank.config.stages[0])
    assert second.num_rows == 50, "its share of the same days"


def with_share(config: TrainConfig, of_data: float, of_fm: float) -> TrainConfig:
    data = config.data.model_copy(update={"negative_share": of_data})
    fm = config.stages[0].model_copy(update={"negative_share": of_fm})
    return config.model_copy(update={"data": data, "stages": (fm, *config.stages[1:])})


def test_a_stage_of_a_share_of_the_negatives_starts_at_the_base_rate_of_the_log(config):
    config = with_share(config, 0.5, 0.25)
    fm, deepfm = (Rank(config, Store("nowhere", 40, tuple(PARTS)), "").on_rows_of(stage) for stage in config.stages)
    assert fm.num_rows == pytest.approx(6 + 300 / 4, abs=3), "each part's negatives are rounded"
    assert fm.base_rate == pytest.approx(6 / (6 + 600), rel=0.05)
    assert (deepfm.num_rows, deepfm.base_rate) == (306, pytest.approx(6 / (6 + 600)))


def test_a_stage_of_a_share_of_the_negatives_is_the_one_of_a_log_that_has_no_others(config, rows, store, tmp_path):
    thin = store.of_span(Span(), 0.3)
    left = Rows.concatenate(list(local_windows(thin, "train", rows.num_fields, 0, 1)))
    train = StoredPart("train", date(2026, 11, 1), 0, len(left), int(left.labels.sum()))
    write_part(str(tmp_path / "left"), train, left)
    others = [replace(part, home_uri=store.uri) for part in store.parts if part.split != "train"]
    sampled = complete(str(tmp_path / "left"), 40, [train, *others])
    ranks = [
        Rank(with_share(config, 1.0, 0.3), store, str(tmp_path / "one")),
        Rank(with_share(config, 0.3, 1.0), sampled, str(tmp_path / "two")),
    ]
    states = []
    for rank in ranks:
        (stage, *_) = rank.config.stages
        local.run_stage(rank, stage, lambda point: None)
        assert results.progress(rank.run_uri, "fm").rows_seen == len(left)
        states.append(initialize.start(rank, stage, Path(stage_uri(rank.run_uri, "fm"))))
    assert_same_bits(*states)


@pytest.mark.parametrize(("said", "threads"), [({}, "1"), ({"cpus_per_worker": 2}, "2"), ("5", "3")])
def test_in_the_commands_own_process_a_stage_has_the_threads_of_a_worker(
    config, store, tmp_path, monkeypatch, said, threads
):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if isinstance(said, str):
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    of_process = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        cluster = ClusterConfig(num_workers=0, **(said if isinstance(said, dict) else {}))
        own = derived(config, stages=config.stages[:1], cluster=cluster)
        fitting.fit(TrainingJob(own, store, str(tmp_path / "run")), lambda point: None)
        assert torch.get_num_threads() == 3, "as before"
    finally:
        torch.set_num_threads(of_process)
    assert results.progress(str(tmp_path / "run"), "fm").settings["threads"] == threads
