"""Keys that say how a log is divided into days, and what folders' names say."""

import pytest
from click_logs import SPEC

from schemas.checking import validate
from schemas.data import DataConfig
from schemas.errors import Refusal
from schemas.folder_path import FolderPath, Level, day_of


def data_of(**keys: object) -> DataConfig:
    return validate(DataConfig, {"logs_uri": "/logs", "features": SPEC, **keys}, "my.yaml")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("hour=HH/date=YYYY-MM-DD", "the hour in the folders of the day or below them"),
        ("year=YYYY/month=MM", "YYYY, MM and DD in it"),
        (
            "region=eu/date=YYYY-MM-DD",
            "a part of the time in each folder's name, of YYYY, MM, DD, HH; region=eu has none",
        ),
        ("date=YYYY-MM-DD/country=DE", "country=DE has none"),
        ("date=YYYY-MM-DD/month=MM", "the hour alone below the folders of the day, which date=YYYY-MM-DD tells"),
        ("date=YYYY-MM-MM-DD", "each part of the time once in a name"),
        ("", "has none"),
    ],
)
def test_a_path_of_folders_that_names_no_day_is_refused_at_its_key(path, said):
    with pytest.raises(Refusal) as refusal:
        data_of(partitioning={"by": "path", "path": path})
    assert said in refusal.value.expected
    assert refusal.value.where == "my.yaml: partitioning.path"


@pytest.mark.parametrize(
    "name", ["Europe/Berlim", "europe/berlin", "localtime", "posix/UTC", "../UTC", "/etc", "", "Europe"]
)
def test_a_timezone_that_is_none_is_refused_at_its_key(name):
    with pytest.raises(Refusal) as refusal:
        data_of(timezone=name)
    assert refusal.value.found == repr(name)
    assert refusal.value.where.endswith("data.timezone")
    assert ("did you mean 'Europe/Berlin'?" in refusal.value.remedy) == (name.lower()[:12] == "europe/berli")


def test_each_key_of_a_partitioning_is_refused_where_it_stands():
    for given, where in [
        ({"by": "hour"}, "partitioning"),
        ({"by": "column"}, "partitioning.column"),
        ({"by": "path", "paths": "date=YYYY-MM-DD"}, "partitioning.paths"),
        ({"by": "day", "column": "ts"}, "partitioning.column"),
    ]:
        with pytest.raises(Refusal) as refusal:
            data_of(partitioning=given)
        assert refusal.value.where == f"my.yaml: {where}"


def test_slashes_around_a_path_are_none_of_its_folders():
    partitioning = data_of(partitioning={"by": "path", "path": "/year=YYYY/month=MM/day=DD/"}).partitioning
    assert partitioning.path == "year=YYYY/month=MM/day=DD"


@pytest.mark.parametrize(
    ("spelling", "name", "said"),
    [
        ("month=MM", "month=09", {"MM": 9}),
        ("month=MM", "month=9", {"MM": 9}),
        ("month=MM", "month=009", None),
        ("month=MM", "months=9", None),
        ("date=YYYY-MM-DD", "date=2026-11-08", {"YYYY": 2026, "MM": 11, "DD": 8}),
        ("date=YYYY-MM-DD", "date=2026-11-8", None),
        ("dt=YYYYMMDD", "dt=20261108", {"YYYY": 2026, "MM": 11, "DD": 8}),
        ("dt=YYYYMMDD", "dt=2026-11-08", None),
        ("YYYY.MM", "2026x11", None),
        ("MM", "٠٩", None),
    ],
)
def test_a_number_alone_may_lack_its_zero_and_all_else_is_spelled_one_way(spelling, name, said):
    assert Level.of(spelling).read(name) == said


def test_the_day_is_told_by_as_many_levels_as_it_takes():
    hours = FolderPath.of("year=YYYY/month=MM/day=DD/hour=HH")
    assert (hours.num_day_levels, hours.has_hours, hours.keys) == (3, True, ("year", "month", "day", "hour"))
    both = FolderPath.of("YYYY-MM-DD-HH")
    assert (both.num_day_levels, both.has_hours, both.keys) == (1, True, ())
    assert day_of({"YYYY": 2026, "MM": 2, "DD": 30}) is None
