"""Nights of days 2 to 8 as a user would ask for them, each going on from where the one before it ended."""

import pytest
from command import Done
from night_folder import ONE_CLASS, ROWS, TRIPLED, NightFolder, day

from pipeline.nights.night import nightly
from pipeline.nights.records import Night
from pipeline.runtime.progress import Event


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> NightFolder:
    folder = NightFolder.write(tmp_path_factory.mktemp("nights"), num_days=11)
    folder.rewrite(TRIPLED, "click", [int(row % 20 != 0) for row in range(ROWS)])
    folder.rewrite(ONE_CLASS, "click", [0] * ROWS)
    return folder


@pytest.fixture(scope="session")
def three(folder: NightFolder, cluster: None) -> Done:
    """The nights of days 2, 3 and 4, of which the first has no champion."""
    return folder.run("backfill", "--from", str(day(2)), "--to", str(day(4)))


@pytest.fixture(scope="session")
def worse(folder: NightFolder, three: Done) -> Night:
    """Of day 5, which the candidate has learned too fast."""
    done = folder.night(5, stages__fm__embedding__learning_rate=20)
    assert done.exit_code == 0, done.stderr
    return folder.record(5)


@pytest.fixture(scope="session")
def met(folder: NightFolder, worse: Night) -> tuple[Night, list[Done]]:
    """The night of day 6, `both`, and what became of the command while that was at work."""
    met: list[Done] = []

    def show(event: Event) -> None:
        if event == Event("train", 0, 1):
            met.append(folder.night(6, night__start="both"))

    return nightly(folder.config("night.start=both"), day(6), show), met


@pytest.fixture(scope="session")
def refreshed(folder: NightFolder, met: tuple[Night, list[Done]]) -> Night:
    """Of day 7, which the accepted candidate has learned too."""
    done = folder.night(7, night__refresh=True)
    assert done.exit_code == 0, done.stderr
    return folder.record(7)


@pytest.fixture(scope="session")
def learned_all(folder: NightFolder, refreshed: Night) -> Night:
    """Of day 8, before which the champion has learned all days."""
    done = folder.night(8, night__refresh=True)
    assert done.exit_code == 0, done.stderr
    return folder.record(8)
