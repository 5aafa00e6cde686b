import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click_logs import SPEC, write_random_log
from layouts import DAYS, HOURS, LAYOUTS, laid_out

from pipeline.submission import subject
from pipeline.submission.work import Work
from schemas.config import TrainConfig
from schemas.errors import Refusal

STAGE = {"name": "fm", "model": "fm"}


def work_of(logs: Path, verb: str, *arguments: str, **stage: Any) -> Work:
    data = {"logs_uri": str(logs), "features": SPEC}
    return Work(verb, TrainConfig.model_validate({"data": data, "stages": [{**STAGE, **stage}]}), arguments)


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("train", ()),
        ("nightly", ("--date", "2026-11-03")),
        ("backfill", ("--from", "2026-11-02", "--to", "2026-11-03")),
    ],
)
def test_an_earlier_job_answers_where_its_log_is_seen_to_be_as_it_was(tmp_path, verb, arguments):
    write_random_log(tmp_path, num_days=3, rows_per_day=10)
    work, night, log = subject.of_log(work_of(tmp_path, verb, *arguments))
    assert night == date(2026, 11, 3)
    assert subject.is_answered(work, log)
    write_random_log(tmp_path, num_days=3, rows_per_day=20)
    assert subject.of_log(work_of(tmp_path, verb, *arguments))[2] != log, "written anew"
    hidden, night, log = subject.of_log(work_of(tmp_path / "elsewhere", verb, *arguments))
    assert not subject.is_answered(hidden, log), "it may have grown"


@pytest.mark.parametrize("name", ["hour", "unpadded", "together", "flat"])
def test_the_state_of_a_log_is_that_of_the_folders_that_hold_its_days_in_each_layout(tmp_path, name):
    data = laid_out(name, tmp_path / "logs")
    config = TrainConfig.model_validate({"data": data, "stages": [STAGE], "night": {"complete": "later_day"}})
    work, night, log = subject.of_log(Work("nightly", config))
    assert (night, work.arguments) == (DAYS[1], ("--date", str(DAYS[1])))
    assert subject.of_log(Work("nightly", config))[2] == log
    folder = tmp_path / "logs" / LAYOUTS[name].folder(DAYS[1], HOURS[7])
    (file,) = folder.glob("*.parquet")
    os.utime(file, (0, 0))
    assert subject.of_log(Work("nightly", config))[2] != log


def test_no_earlier_job_answers_for_a_stage_that_starts_from_an_alias_which_may_have_moved(tmp_path):
    write_random_log(tmp_path, num_days=3, rows_per_day=10)
    work, _, log = subject.of_log(work_of(tmp_path, "train", init_from="models:/ctr@champion"))
    assert not subject.is_answered(work, log)


def test_the_newest_night_of_a_log_that_cannot_be_read_from_here_is_refused(tmp_path):
    with pytest.raises(Refusal, match="a log that cannot be read from here"):
        subject.of_log(work_of(tmp_path / "elsewhere", "nightly"))
