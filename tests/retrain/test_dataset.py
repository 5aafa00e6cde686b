from pathlib import Path

from six_days import DAYS, config_of, write_log

from pipeline.data.encoded_days import EncodedDays
from pipeline.retrain.dataset import find_inputs, identity_of, store_name
from pipeline.runtime.progress import Event
from schemas.checking import derived


def test_the_check_of_the_log_tells_what_it_leaves_aside(tmp_path: Path):
    config, events = config_of(write_log(tmp_path / "logs")), list[Event]()
    find_inputs(config, events.append)
    (tmp_path / f"logs/date={DAYS[0]}/manifest.json").write_text("{}")
    find_inputs(config, events.append)
    assert [event.note for event in events if event.done] == [
        "48 rows, 6 days",
        "48 rows, 6 days; 1 left aside (1 x not Parquet)",
    ]


def test_what_is_done_about_unknown_columns_makes_nothing_anew(tmp_path: Path):
    refusing = config_of(write_log(tmp_path / "logs"))
    warning = derived(refusing, data=derived(refusing.data, unknown_columns="warn"))
    manifest = find_inputs(refusing, lambda event: None).manifest
    assert identity_of(warning, manifest) == identity_of(refusing, manifest)
    assert store_name(warning, manifest) == store_name(refusing, manifest)
    folders = {EncodedDays("days", config.data, 0)._folder(DAYS[0], manifest) for config in (refusing, warning)}
    assert len(folders) == 1
