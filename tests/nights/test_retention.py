"""What goes and what stays, by hand and for whatever may lie there."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from six_days import config_of

from pipeline.nights import over, prune, records
from pipeline.nights.records import Night
from pipeline.nights.retention import STALE_SECONDS, Encoded, Holdings, Leaving, OfDay, Run, leaving
from pipeline.registry.removal import Registered
from pipeline.retrain.leftovers import Leftovers
from pipeline.runtime.files import Listed
from schemas.night import RetentionConfig

NOW = 1e9
FIRST = date(2026, 11, 10)  # of the next night's window
CONFIG = RetentionConfig(runs=1, encoded_days=2, versions=1, quarantine_days=1)
ALL = RetentionConfig(runs=None, encoded_days=None, versions=None, quarantine_days=None)


@pytest.mark.parametrize(
    ("night", "first"),
    [
        ({"window_days": 3}, 8),
        ({"window_days": 3, "history_days": 4}, 8),
        ({"window_days": 3, "history_days": 4, "start": "both"}, 4),
        ({"window_days": 10**9}, None),
    ],
    ids=["window", "history-of-a-cold-start", "history-beside-a-warm-one", "more-than-there-are"],
)
def test_the_days_stay_whose_rows_the_next_night_takes_as_they_were_encoded(tmp_path, night, first):
    config = config_of(tmp_path / "logs", night, work_uri=str(tmp_path))
    held_out = date(2026, 11, 11)
    records.write(config, Night(held_out, "0", "kept", "", (held_out,), "warm", "run", "mlflow", None))
    assert prune._first_needed(config) == (date(2026, 11, first) if first else date.min)
    settings = over.settings_of(config)
    records.write(config, Night(held_out, "0", "kept", "", (held_out,), "warm", "r", "m", None, settings=settings))
    other = config_of(tmp_path / "logs", {"window_days": 1}, work_uri=str(tmp_path))
    assert prune._first_needed(other) == (date(2026, 11, first) if first else date.min), "as that night had it"


def run(name: str, *, is_finished: bool, tables: int = 100, modified: float = NOW) -> Run:
    tables_of_it = [Listed("stages/fm/table-0-of-1.safetensors", tables, modified)] if tables else []
    files = (*tables_of_it, Listed("stages/fm/progress.json", 1, modified))
    return Run(Leftovers(f"s3://clicks/runs/{name}", files), is_finished)


def name_of(run: Run) -> str:
    return f"runs/{run.leftovers.name}"


def encoded(name: str, *days: date, modified: float = NOW) -> Encoded:
    return Encoded(f"encoded/{name}", 10, modified, days)


def version(number: int, *aliases: str) -> Registered:
    return Registered("ctr", number, aliases, f"m-{number}")


def gone(holdings: Holdings, config: RetentionConfig = CONFIG) -> list[str]:
    return [one.name for one in leaving(holdings, config, NOW)]


def test_a_finished_runs_tables_go_at_once_and_its_results_stay():
    runs = (run("a", is_finished=True), run("b", is_finished=True, tables=0))
    assert leaving(Holdings(runs=runs), CONFIG, NOW) == [
        Leaving("tables", "runs/a", "its run is finished; the results stay", 100)
    ]


def test_of_unfinished_runs_the_newest_stay_for_their_command_to_go_on():
    runs = tuple(run(name, is_finished=False, modified=NOW - age) for name, age in [("a", 2), ("b", 0), ("c", 1)])
    assert gone(Holdings(runs=runs)) == ["runs/c", "runs/a"]
    assert gone(Holdings(runs=runs), RetentionConfig(runs=3)) == []


def test_encoded_days_stay_while_the_next_night_or_a_few_before_it_could_read_them():
    def before(days: int) -> date:
        return FIRST - timedelta(days)

    holdings = Holdings(
        stores=(encoded("old", before(5), before(3)), encoded("kept", before(9), before(2)), encoded("new", FIRST)),
        listings=(OfDay("encoded/days/3", 1, before(3)), OfDay("encoded/days/2", 1, before(2))),
        counts=(OfDay("profiles/3", 1, before(3)), OfDay("profiles/2", 1, before(2))),
        first_needed=FIRST,
    )
    assert gone(holdings) == ["encoded/days/3", "encoded/old", "profiles/3"]
    assert gone(replace(holdings, first_needed=None)) == [], "no night says what the next one reads"


def test_a_store_that_nobody_completes_goes_after_a_day():
    stores = tuple(encoded(name, modified=NOW - age) for name, age in [("a", STALE_SECONDS + 1), ("b", 60)])
    assert gone(Holdings(stores=stores)) == ["encoded/a"]


def test_of_versions_those_that_an_alias_or_the_config_names_stay_and_the_newest_others():
    versions = (version(1, "canary"), version(2), version(3), version(4, "champion"), version(5), version(6))
    assert gone(Holdings(versions=versions)) == ["models:/ctr/2", "models:/ctr/3", "models:/ctr/5"]
    assert gone(Holdings(versions=versions, named=("models:/ctr/3",))) == ["models:/ctr/2", "models:/ctr/5"]


def test_a_model_whose_version_is_gone_goes_too():
    assert gone(Holdings(models_alone=("m-1",))) == ["models:/m-1"]


def test_where_all_is_to_stay_nothing_goes():
    everything = Holdings(
        runs=(run("a", is_finished=True), run("b", is_finished=False)),
        stores=(encoded("old", date(2026, 1, 1)), encoded("broken", modified=0.0)),
        listings=(OfDay("encoded/days/1", 1, date(2026, 1, 1)),),
        counts=(OfDay("profiles/1", 1, date(2026, 1, 1)),),
        quarantine=(OfDay("quarantine/1", 1, date(2026, 1, 1)),),
        versions=(version(1), version(2)),
        models_alone=("m-0",),
        first_needed=FIRST,
    )
    assert gone(everything, ALL) == []
    assert len(gone(everything, RetentionConfig(runs=0, encoded_days=0, versions=0, quarantine_days=0))) == 10


def test_of_quarantine_the_newest_days_stay():
    days = tuple(OfDay(f"quarantine/{number}", 1, FIRST + timedelta(number)) for number in (2, 0, 1))
    assert gone(Holdings(quarantine=days)) == ["quarantine/0", "quarantine/1"]


a_day = st.dates(FIRST - timedelta(9), FIRST + timedelta(9))
a_time = st.floats(0, NOW)
of_day = st.lists(a_day, unique=True).map(lambda days: tuple(OfDay(f"day {day}", 1, day) for day in days))


@st.composite
def any_holdings(draw: st.DrawFn) -> Holdings:
    finished = draw(st.lists(st.tuples(st.booleans(), st.integers(0, 2), a_time), max_size=6))
    runs = tuple(run(f"r{n}", is_finished=f, tables=t, modified=when) for n, (f, t, when) in enumerate(finished))
    days = draw(st.lists(st.tuples(st.lists(a_day, max_size=3), a_time), max_size=6))
    stores = tuple(encoded(f"s{n}", *of_it, modified=when) for n, (of_it, when) in enumerate(days))
    aliases = draw(st.lists(st.sampled_from([(), ("champion",), ("previous_champion", "challenger")]), max_size=8))
    versions = tuple(version(number, *names) for number, names in enumerate(aliases, start=1))
    return Holdings(
        runs=runs,
        stores=stores,
        listings=draw(of_day),
        counts=draw(of_day),
        quarantine=draw(of_day),
        versions=versions,
        models_alone=tuple(draw(st.lists(st.sampled_from(["m-x", "m-y"]), unique=True))),
        named=tuple(draw(st.lists(st.sampled_from([one.uri for one in versions] or [""])))),
        first_needed=draw(st.none() | st.just(FIRST)),
    )


a_number = st.none() | st.integers(0, 4)
any_config = st.builds(
    RetentionConfig, runs=a_number, encoded_days=a_number, versions=a_number, quarantine_days=a_number
)


def without(holdings: Holdings, names: set[str]) -> Holdings:
    """As what is there when these have gone."""
    runs = [one for one in holdings.runs if name_of(one) not in names]
    return replace(
        holdings,
        runs=tuple(runs),
        stores=tuple(one for one in holdings.stores if one.name not in names),
        versions=tuple(one for one in holdings.versions if one.uri not in names),
        models_alone=tuple(one for one in holdings.models_alone if f"models:/{one}" not in names),
        **{
            kind: tuple(one for one in getattr(holdings, kind) if (kind, one.name) not in names)
            for kind in ("listings", "counts", "quarantine")
        },
    )


KINDS = {"listing": "listings", "counts": "counts", "quarantine": "quarantine"}


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(any_holdings(), any_config)
def test_what_serves_and_what_the_next_night_reads_never_goes(holdings, config):
    names = {one.name for one in leaving(holdings, config, NOW)}
    assert not names & {one.uri for one in holdings.versions if one.aliases or one.uri in holdings.named}
    assert not names & {one.name for one in holdings.stores if one.days and max(one.days) >= FIRST}
    assert not any(
        one.kind in ("listing", "counts") and one.name >= f"day {FIRST}" for one in leaving(holdings, config, NOW)
    )
    unfinished = [one for one in holdings.runs if not one.is_finished and one.leftovers.spare]
    if config.runs and unfinished:
        newest = max(one.leftovers.modified for one in unfinished)
        assert any(name_of(one) not in names for one in unfinished if one.leftovers.modified == newest)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(any_holdings(), any_config, st.integers(0, 20))
def test_cut_short_anywhere_the_rest_goes_the_next_time(holdings, config, number):
    all_of_it = leaving(holdings, config, NOW)
    done = {(KINDS[one.kind], one.name) if one.kind in KINDS else one.name for one in all_of_it[:number]}
    assert leaving(without(holdings, done), config, NOW) == all_of_it[number:]


@pytest.mark.parametrize("name", ["runs", "encoded_days", "versions", "quarantine_days"])
def test_how_much_stays_is_a_number_or_all(name):
    with pytest.raises(ValueError, match=name):
        RetentionConfig(**{name: -1})
