"""Nights as a user would ask for them: three in a row, and what may follow, each in a copy of their folder."""

from dataclasses import dataclass

import pytest
from command import Done
from night_folder import ONE_CLASS, ROWS, TRIPLED, NightFolder, day

from pipeline.nights.night import nightly
from pipeline.nights.records import Night
from pipeline.runtime.progress import Event


@dataclass(frozen=True)
class ThreeNights:
    """Those of days 2, 3 and 4, of which the first has no champion. Whoever changes the folder takes a copy."""

    folder: NightFolder
    done: Done


@pytest.fixture(scope="session")
def three(tmp_path_factory: pytest.TempPathFactory, cluster: None) -> ThreeNights:
    folder = NightFolder.write(tmp_path_factory.mktemp("nights"), num_days=11)
    folder.rewrite(TRIPLED, "click", [int(row % 20 != 0) for row in range(ROWS)])
    folder.rewrite(ONE_CLASS, "click", [0] * ROWS)
    return ThreeNights(folder, folder.run("backfill", "--from", str(day(2)), "--to", str(day(4))))


@dataclass(frozen=True)
class WorseAndBoth:
    """After them that of day 5, whose candidate has learned too fast, and of day 6 with `start: both`."""

    folder: NightFolder
    worse: Night
    both: Night
    meanwhile: list[Done]
    """What became of the command of day 6 while that night was at work already."""


@pytest.fixture(scope="session")
def worse_and_both(three: ThreeNights, tmp_path_factory: pytest.TempPathFactory) -> WorseAndBoth:
    folder = three.folder.copy(tmp_path_factory.mktemp("worse"))
    done = folder.night(5, stages__fm__embedding__learning_rate=20)
    assert done.exit_code == 0, done.stderr
    meanwhile: list[Done] = []

    def show(event: Event) -> None:
        if event == Event("train", 0, 1):
            meanwhile.append(folder.night(6, night__start="both"))

    both = nightly(folder.config("night.start=both"), day(6), show).night
    return WorseAndBoth(folder, folder.record(5), both, meanwhile)


@dataclass(frozen=True)
class Refreshed:
    """After them those of days 5 and 6 with `refresh: true`: of day 6 the champion has learned all days before."""

    folder: NightFolder
    first: Night
    second: Night


@pytest.fixture(scope="session")
def refreshed(three: ThreeNights, tmp_path_factory: pytest.TempPathFactory) -> Refreshed:
    folder = three.folder.copy(tmp_path_factory.mktemp("refreshed"))
    for number in (5, 6):
        done = folder.night(number, night__refresh=True)
        assert done.exit_code == 0, done.stderr
    return Refreshed(folder, folder.record(5), folder.record(6))
