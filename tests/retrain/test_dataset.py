from pathlib import Path

import pytest
from six_days import DAYS, config_of, write_log

from pipeline.data import store
from pipeline.data.encoded_days import EncodedDays
from pipeline.profiles import profiler
from pipeline.retrain.dataset import encoded_store, find_inputs, identity_of, store_name
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


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
@pytest.mark.filterwarnings("default")
def test_days_that_were_counted_with_their_profiles_are_not_counted_again(tmp_path: Path):
    logs_uri, events = write_log(tmp_path / "logs"), list[Event]()
    configs = [derived(config_of(logs_uri), work_uri=str(tmp_path / name)) for name in ("profiled", "new")]
    inputs = find_inputs(configs[0], lambda event: None)
    profiler.profile_days(inputs.manifest.of_days(DAYS[1:]), configs[0].data, configs[0].work_uri)
    stores = [encoded_store(config, inputs, events.append) for config in configs]
    vocabularies = [store.read_vocabulary(one.uri, configs[0].data.features) for one in stores]
    assert vocabularies[0].fingerprint == vocabularies[1].fingerprint
    (some, all_of_it) = [event for event in events if event.task == "count values" and event.done]
    assert some.note == f"{stores[0].num_ids:,} ids; 4 days as their profiles have counted them", "the last is held out"
    assert (some.rows, all_of_it.rows) == (8, 48)
    assert all_of_it.note == f"{stores[1].num_ids:,} ids"
