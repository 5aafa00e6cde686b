from datetime import date
from pathlib import Path

import damage
import pytest
from six_days import config_of

from pipeline.nights import records
from pipeline.nights.records import Night
from schemas.config import TrainConfig

DAY, KEY = date(2026, 11, 4), "0123456789abcdef"
NIGHT = Night(DAY, KEY, "kept", "no better", (DAY,), "warm", "run", "sqlite:///db", None, candidate={"ne": 0.5})


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    return config_of(tmp_path / "logs", work_uri=str(tmp_path / "work"))


def test_a_damaged_record_is_no_record_until_its_night_writes_it_anew(config, tmp_path, caplog):
    records.write(config, NIGHT)
    (path,) = (tmp_path / "work/nights").glob("*/*/*.json")
    for kind in damage.kinds_of(path):
        assert records.of_day(config, DAY) == [NIGHT]
        damage.KINDS[kind](path)
        before = path.exists()
        assert records.of_day(config, DAY) == []
        assert records.all_of(config) == records.newest_of_each_model(config) == []
        assert path.exists() == before, "who only looks removes nothing"
        records.write(config, NIGHT)
        assert records.all_of(config) == [NIGHT]
    assert f"{path} is damaged" in caplog.text


def test_a_record_of_before_there_were_digests_is_read(config, tmp_path):
    records.write(config, NIGHT)
    (path,) = (tmp_path / "work/nights").glob("*/*/*.json")
    path.write_text(NIGHT.to_json())
    assert records.all_of(config) == [NIGHT]
