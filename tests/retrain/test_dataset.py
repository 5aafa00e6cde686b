from pathlib import Path

from six_days import DAYS, config_of, write_log

from pipeline.retrain.dataset import find_inputs
from pipeline.runtime.progress import Event


def test_the_check_of_the_log_tells_what_it_leaves_aside(tmp_path: Path):
    config, events = config_of(write_log(tmp_path / "logs")), list[Event]()
    find_inputs(config, events.append)
    (tmp_path / f"logs/date={DAYS[0]}/manifest.json").write_text("{}")
    find_inputs(config, events.append)
    assert [event.note for event in events if event.done] == [
        "48 rows, 6 days",
        "48 rows, 6 days; 1 left aside (1 x not Parquet)",
    ]
