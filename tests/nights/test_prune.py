"""What nights leave is removed, by themselves and by `nightjar prune`, and the next night comes to the same."""

import shutil
from dataclasses import dataclass

import fsspec
import pytest
from command import Done
from disks import fill, mounted
from night_folder import MODEL, NightFolder, day

from pipeline.registry import removal
from pipeline.registry.bundle import Bundle
from pipeline.registry.model_uri import load_bundle
from pipeline.runtime import files, lease

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("cluster")]

WINDOW = {"night__window_days": 2}
NOTHING_GOES = {f"retention__{key}": None for key in ("runs", "encoded_days", "versions", "quarantine_days")}
ALL_GOES = dict.fromkeys(NOTHING_GOES, 0)


@dataclass(frozen=True)
class Both:
    """Two copies of the same three nights, in which that of day 5 follows; in one, what can go has gone then."""

    whole: NightFolder
    pruned: NightFolder
    fails_to_tidy_up: Done
    """The night in the first, beside a store whose listing is gone, and a folder that is of no day."""
    would_go: Done
    done: Done


@pytest.fixture(scope="module")
def both(three, tmp_path_factory) -> Both:
    whole, pruned = (three.folder.copy(tmp_path_factory.mktemp(name)) for name in ("whole", "pruned"))
    broken, of_no_day = (whole.path / "work" / name for name in ("encoded/broken", "quarantine/date=tomorrow"))
    for folder in (broken, of_no_day):
        folder.mkdir(parents=True)
    (broken / "_SUCCESS").touch()
    fails = whole.night(5, **WINDOW, **NOTHING_GOES)
    for folder in (broken, of_no_day):
        shutil.rmtree(folder)
    pruned.night(5, **WINDOW, **NOTHING_GOES)
    would_go = pruned.run("prune", "--dry-run", **WINDOW, **ALL_GOES)
    done = pruned.run("prune", **WINDOW, **ALL_GOES)
    return Both(whole, pruned, fails, would_go, done)


def things(done: Done) -> list[str]:
    """Names, after the heading and the bytes."""
    assert done.exit_code == 0, done.stderr
    return [line.partition(" MB  ")[2].partition(": ")[0] for line in done.stdout.splitlines()[:-1]]


def names_in(folder: NightFolder, place: str) -> set[str]:
    return {path.name for path in (folder.path / "work" / place).iterdir()}


def champion_of(folder: NightFolder) -> Bundle:
    return load_bundle(folder.tracking, f"models:/{MODEL}@champion")


def test_what_goes_is_told_with_why_and_how_much(both):
    assert things(both.would_go) == things(both.done)
    (version,) = (line for line in both.done.stdout.splitlines() if f"models:/{MODEL}/1:" in line)
    assert version.startswith("gone  ")
    assert version.endswith("no alias names it, nor 0 newer ones")
    assert float(version.split()[1]) > 0.5, "MB, with the code that it brings"
    assert both.would_go.stdout.splitlines()[-1].startswith("would go: ")
    assert both.done.stdout.splitlines()[-1].startswith("gone: ")
    number = int(both.done.stdout.split()[-2])
    assert number == len(things(both.done)) > 5


def test_of_runs_the_results_of_stores_the_window_and_of_versions_the_named_ones_stay(both):
    folder = both.pruned
    stages = {path.parent.name for path in (folder.path / "work/runs").rglob("progress.json")}
    assert stages == {"fm", "warm"}
    assert list((folder.path / "work/runs").rglob("*.safetensors")) == []
    assert len(names_in(both.whole, "encoded")) > len(names_in(folder, "encoded"))
    assert names_in(folder, "encoded/days") == {f"date={day(number)}" for number in (3, 4)}
    named = set(folder.aliases().values())
    assert {str(one.number) for one in removal.versions_of(folder.tracking, MODEL)} == named
    assert len(names_in(folder, "mlartifacts/models")) == len(named)
    assert removal.models_alone(folder.tracking, MODEL) == []


def test_a_second_time_there_is_nothing_to_go(both):
    assert both.pruned.run("prune", "--dry-run", **WINDOW, **ALL_GOES).stdout == "would go: 0.000 MB of 0 things\n"


def test_the_next_night_comes_to_the_same_bits_and_old_nights_stay_known(both):
    for folder, stays in ((both.whole, NOTHING_GOES), (both.pruned, ALL_GOES)):
        done = folder.run("backfill", "--from", str(day(2)), "--to", str(day(6)), **WINDOW, **stays)
        assert done.exit_code == 0, done.stderr
        assert folder.run("status").exit_code == 0
    ours, theirs = both.pruned.record(6), both.whole.record(6)
    assert (ours.candidate, ours.champion, ours.verdict) == (theirs.candidate, theirs.champion, theirs.verdict)
    sha = [champion_of(folder).contents.sha256["weights.safetensors"] for folder in (both.pruned, both.whole)]
    assert sha[0] == sha[1]
    assert list((both.pruned.path / "work/runs").rglob("*.safetensors")) == [], "a night tidies up by itself"


def test_a_version_whose_removal_was_cut_short_goes_the_next_time(both):
    tracking = both.whole.tracking
    first = removal.versions_of(tracking, MODEL)[0]
    tracking.client.delete_model_version(MODEL, str(first.number))  # where a kill might come
    assert removal.models_alone(tracking, MODEL) == [first.model_id]
    done = both.whole.run("prune", **WINDOW, **{**NOTHING_GOES, "retention__versions": 100})
    assert things(done) == [f"models:/{first.model_id}"]
    assert removal.models_alone(tracking, MODEL) == []


def test_while_a_night_is_at_work_nothing_goes(both):
    leases = both.whole.path / "work/leases"
    with lease.lease(str(leases / MODEL), 60, "night of another process"):
        assert both.whole.run("prune", **ALL_GOES).exit_code == 3
    with lease.lease(str(leases / "another"), 60, "night of another model"):
        assert all(name.startswith("models:/") for name in things(both.whole.run("prune", "--dry-run", **ALL_GOES)))


def test_what_cannot_be_removed_fails_no_night_and_is_told(both):
    assert both.fails_to_tidy_up.exit_code == 0
    (line,) = (line for line in both.fails_to_tidy_up.stderr.splitlines() if line.startswith("tidy up done"))
    assert "0.0 MB of 0 things gone; then: " in line
    assert "'tomorrow'" in line
    assert "parts.json" not in line, "what is damaged counts as cut short"
    assert both.whole.record(5).outcome == "promoted"


def test_a_work_folder_in_an_object_store_is_pruned_alike(both, bucket):
    fs = fsspec.filesystem("s3")
    for place in ("encoded", "nights", "runs"):
        fs.put(str(both.whole.path / "work" / place), f"{bucket}/pruned/{place}", recursive=True)
    config = {"work_uri": f"{bucket}/pruned", "mlflow__tracking_uri": both.whole.tracking.uri}
    here, there = (both.whole.run("prune", "--dry-run", **ALL_GOES, **also) for also in ({}, config))
    of_folder = [name for name in things(there) if not name.startswith("models:/")]
    assert of_folder == [name for name in things(here) if not name.startswith(("models:/", "profiles/"))] != []
    assert things(both.whole.run("prune", **{**ALL_GOES, "retention__versions": None}, **config)) == of_folder
    assert {file.name.rpartition("/")[2] for file in files.listed(f"{bucket}/pruned/runs")} == {"progress.json"}
    assert things(both.whole.run("prune", **{**ALL_GOES, "retention__versions": None}, **config)) == []
    fs.rm(f"{bucket}/pruned", recursive=True)


def test_a_full_disk_can_be_pruned(three, tmp_path):
    folder = three.folder.copy(tmp_path / "nights")
    with mounted(tmp_path / "disk", "16m") as disk:
        run = disk / "runs" / "0123456789abcdef"
        run.mkdir(parents=True)
        (run / "table-0-of-1.safetensors").write_bytes(bytes(1_000_000))
        fill(disk)
        config = {"work_uri": str(disk), "mlflow__tracking_uri": folder.tracking.uri}
        done = folder.run("prune", **config, retention__runs=0)
        assert done.exit_code == 0, done.stderr
        assert things(done) == ["runs/0123456789abcdef"]
        assert list((disk / "runs").iterdir()) == []
