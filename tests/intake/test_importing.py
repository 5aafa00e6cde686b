import gzip
import json
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from log_files import FIRST_DAY, criteo_line, imported, rows_of, write

from pipeline.intake import blocks, chunks
from pipeline.intake.chunks import Done
from pipeline.intake.formats.criteo import Criteo
from pipeline.intake.writing import Progress
from pipeline.runtime import cluster as cluster_of_ray
from schemas.errors import Refusal

LINES = [criteo_line(number % 2, [number] * 13) for number in range(300)]
DAYS = [date(2026, 11, day) for day in (1, 2, 3)]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two blocks of some ten lines each."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 3000)
    monkeypatch.setattr(chunks, "BLOCKS_PER_CHUNK", 2)


def content(logs: Path) -> dict[str, pa.Table]:
    return {str(day): rows_of(logs, day) for day in DAYS}


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Each file below the folder, when it was written and its size; but for leases."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "lease-" not in str(path)
    }


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.usefixtures("small_chunks")
def test_many_chunks_are_the_rows_of_one_in_their_order(tmp_path, monkeypatch, ending):
    file = write(tmp_path / f"train.txt{ending}", LINES)
    outcome = imported(Criteo(), file, rows_per_day=100)
    assert outcome.rows == dict.fromkeys(map(str, DAYS), 100)
    assert len(list((tmp_path / "logs").rglob("*.parquet"))) > 10
    monkeypatch.undo()
    imported(Criteo(), file, rows_per_day=100, logs=tmp_path / "whole")
    assert content(tmp_path / "logs") == content(tmp_path / "whole")
    assert rows_of(tmp_path / "logs", DAYS[1])["I1"].to_pylist() == list(range(100, 200))


def test_the_same_import_twice_changes_nothing(tmp_path):
    file = write(tmp_path / "train.txt", [*LINES, "bad"])
    first = imported(Criteo(), file, rows_per_day=100, max_bad_share=0.1)
    before = files_of(tmp_path / "logs")
    again = imported(Criteo(), file, rows_per_day=100, max_bad_share=0.1)
    assert (again.rows, again.num_bad, again.was_there) == (first.rows, 1, True)
    assert files_of(tmp_path / "logs") == before


def test_a_day_that_was_removed_is_imported_again_and_the_others_stay(tmp_path):
    file = write(tmp_path / "train.txt", LINES)
    imported(Criteo(), file, rows_per_day=100)
    before = content(tmp_path / "logs")
    kept = files_of(tmp_path / f"logs/date={DAYS[0]}")
    for path in (tmp_path / f"logs/date={DAYS[1]}").iterdir():
        path.unlink()
    assert not imported(Criteo(), file, rows_per_day=100).was_there
    assert content(tmp_path / "logs") == before
    assert files_of(tmp_path / f"logs/date={DAYS[0]}") == kept


def test_what_another_version_left_waiting_is_removed_and_another_imports_stays(tmp_path):
    file = write(tmp_path / "train.txt", LINES)
    imported(Criteo(), file, logs=tmp_path / "logs")
    (key,) = (path.stem for path in (tmp_path / "logs/_imports").iterdir())
    for name in (f"_importing-{key}-0123456789abcdef", "_importing-of-another"):
        (tmp_path / "logs" / name).mkdir()
        (tmp_path / "logs" / name / "done-0000-00000.json").write_text("{}")
    assert imported(Criteo(), file, logs=tmp_path / "logs").was_there
    assert [path.name for path in (tmp_path / "logs").glob("_importing-*")] == ["_importing-of-another"]


def test_one_more_day_joins_the_log(tmp_path):
    imported(Criteo(), write(tmp_path / "day_0", LINES), logs=tmp_path / "logs")
    before = files_of(tmp_path / "logs" / f"date={DAYS[0]}")
    imported(Criteo(), write(tmp_path / "day_1", LINES[:7]), logs=tmp_path / "logs")
    assert len(rows_of(tmp_path / "logs", DAYS[1])) == 7
    assert files_of(tmp_path / "logs" / f"date={DAYS[0]}") == before


def test_rows_of_another_source_are_refused_and_not_mixed_unless_they_are_to_replace(tmp_path):
    imported(Criteo(), write(tmp_path / "train.txt", LINES), rows_per_day=100)
    before = files_of(tmp_path / "logs")
    other = write(tmp_path / "other.txt", LINES[:150])
    with pytest.raises(Refusal) as refused:
        imported(Criteo(), other, rows_per_day=100)
    assert refused.value.found == "2026-11-01, which another import has written"
    assert files_of(tmp_path / "logs") == before
    imported(Criteo(), other, rows_per_day=100, overwrite=True)
    assert [len(rows_of(tmp_path / "logs", day)) for day in DAYS] == [100, 50, 100]
    assert rows_of(tmp_path / "logs", DAYS[1])["I1"].to_pylist() == list(range(100, 150))


def test_a_day_that_no_import_has_written_is_refused(tmp_path):
    (tmp_path / f"logs/date={DAYS[1]}").mkdir(parents=True)
    (tmp_path / f"logs/date={DAYS[1]}/part-0.parquet").write_bytes(b"PAR1")
    with pytest.raises(Refusal, match="2026-11-02, which something else has written"):
        imported(Criteo(), write(tmp_path / "train.txt", LINES), rows_per_day=100)
    assert not (tmp_path / f"logs/date={DAYS[0]}").exists()


def test_a_file_that_was_written_anew_is_another_source(tmp_path):
    file = write(tmp_path / "train.txt", LINES)
    imported(Criteo(), file)
    write(file, LINES[:-1])
    with pytest.raises(Refusal, match="another import has written"):
        imported(Criteo(), file)


def test_lines_left_out_lie_in_quarantine_with_file_line_and_reason(tmp_path):
    files = [write(tmp_path / f"in/day_{day}", [*LINES[:5], "bad\\line", *LINES[5:10]]) for day in (0, 1)]
    outcome = imported(Criteo(), *files, logs=tmp_path / "logs", max_bad_share=0.1)
    assert (outcome.num_bad, sum(outcome.rows.values())) == (2, 20)
    (quarantine,) = (tmp_path / "logs/quarantine").iterdir()
    assert [json.loads(line) for line in quarantine.read_text().splitlines()] == [
        {"file": str(file), "line": 6, "reason": "1 columns, where 40 are expected", "text": "bad\\line"}
        for file in files
    ]


def test_more_bad_lines_than_their_share_are_refused_with_the_first_ones_named(tmp_path):
    lines = [*LINES[:50], "a", "b", "c", "d", "e", *LINES[50:95]]
    file = write(tmp_path / "train.txt", lines)
    imported(Criteo(), file, max_bad_share=0.05)
    with pytest.raises(Refusal) as refused:
        imported(Criteo(), file, logs=tmp_path / "others", max_bad_share=0.049)
    assert refused.value.found.startswith("5 of 100 lines that break the format: line 51: 1 columns")
    assert refused.value.expected == "at most 4.90% of a file's lines, as far as it is read"
    assert "line 53" in refused.value.found
    assert "line 54" not in refused.value.found


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda packed: packed[:-9], "cannot be unpacked: Truncated"),
        (lambda packed: packed[: len(packed) // 2], "cannot be unpacked: Truncated"),
        (lambda packed: b"not gzip at all" * 100, "cannot be unpacked"),
        (lambda packed: packed[:30] + bytes([packed[30] ^ 255]) + packed[31:], "cannot be unpacked"),
    ],
    ids=["no-end", "half", "not-gzip", "flipped"],
)
def test_a_packed_file_that_is_damaged_is_refused_and_none_of_its_days_is_there(tmp_path, damage, found):
    path = tmp_path / "train.gz"
    path.write_bytes(damage(gzip.compress("\n".join(LINES).encode())))
    with pytest.raises(Refusal, match=found):
        imported(Criteo(), path, rows_per_day=100)
    assert not (tmp_path / "logs").exists()


def test_files_of_gzip_put_together_are_read_to_their_end(tmp_path):
    path = tmp_path / "day_0.gz"
    path.write_bytes(b"".join(gzip.compress(f"{line}\n".encode()) for line in LINES[:9]))
    assert imported(Criteo(), path).rows == {str(FIRST_DAY): 9}


def test_how_far_it_is_is_told_and_what_was_there_is_no_pace():
    told, seconds = [], iter(range(100))
    progress = Progress(told.append, 50_000_000, now=lambda: float(next(seconds)))

    def done(name: str, rows: int, num_bytes: int) -> Done:
        return Done(name, {"2026-11-01": rows}, 0, (), 0, 1, num_bytes)

    progress.add(done("0000-00000", 1000, 10_000_000), is_new=False)
    progress.add(done("0000-00001", 500, 20_000_000), is_new=True)
    progress.add(done("0001-00000", 500, 30_000_000), is_new=True)
    progress.end()
    assert [(event.done, event.total, event.note, event.rows) for event in told] == [
        (20, 50, "1,500 rows, 500 rows/s", 0),
        (49, 50, "2,000 rows, 500 rows/s", 0),
        (50, 50, "2,000 rows, 333 rows/s", 2000),
    ]


@pytest.mark.ray
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("cluster")
def test_several_files_are_read_on_all_nodes_of_a_cluster_that_is_given(tmp_path):
    files = [write(tmp_path / f"in/day_{day}.gz", LINES[: 100 + day]) for day in range(3)]
    assert cluster_of_ray.current().is_given
    outcome = imported(Criteo(), *files, logs=tmp_path / "logs")
    assert outcome.rows == {str(day): 100 + number for number, day in enumerate(DAYS)}
    for number, day in enumerate(DAYS):
        rows = rows_of(tmp_path / "logs", day)
        assert rows["I1"].to_pylist() == list(range(100 + number))
        assert rows["row_id"].to_pylist() == [number * 10**12 + line for line in range(1, 101 + number)]
    with files[1].open("ab") as file:
        file.write(gzip.compress(b"bad\n"))
    with pytest.raises(Refusal, match=r"1 of 102 lines that break the format: line 102: 1 columns"):
        imported(Criteo(), *files, logs=tmp_path / "others")
    assert not (tmp_path / "others").exists()


SLOW = """
import sys, time
from datetime import date
from pathlib import Path
sys.path[:0] = {path}
from pipeline.intake import blocks, chunks, importing
from pipeline.runtime import files, replacing
blocks.BLOCK_BYTES, chunks.BLOCKS_PER_CHUNK = 3000, 2
from log_files import imported
from pipeline.intake.formats.criteo import Criteo
def slowly(call):
    def wait(*arguments, **options):
        print("step", flush=True)
        time.sleep(0.005)
        return call(*arguments, **options)
    return wait
files.write_bytes, replacing.replace = slowly(files.write_bytes), slowly(replacing.replace)
imported(Criteo(), Path(sys.argv[1]), rows_per_day=100, max_bad_share=0.1)
"""


def killed_at(step: int | None, file: Path) -> int:
    """Import in a process that is killed at its so-manieth write, or never; returns how many there were."""
    code = SLOW.format(path=sys.path)
    with subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        steps = 0
        for _ in process.stdout:
            steps += 1
            if steps == step:
                process.send_signal(signal.SIGKILL)
    assert process.returncode == (0 if step is None else -signal.SIGKILL)
    return steps


@pytest.mark.slow
def test_an_import_that_was_killed_comes_to_what_an_undisturbed_one_does(tmp_path):
    lines = [*LINES[:250], "bad", *LINES[250:]]
    undisturbed = write(tmp_path / "undisturbed/train.txt", lines)
    steps = killed_at(None, undisturbed)
    whole = content(tmp_path / "undisturbed/logs")
    for step in (1, 2, steps // 3, steps // 2, *range(steps - 12, steps)):
        file = write(tmp_path / f"{step}/train.txt", lines)
        killed_at(step, file)
        logs = file.parent / "logs"
        for day in DAYS:
            if (logs / f"date={day}").exists():
                assert rows_of(logs, day) == whole[str(day)], "a day is there whole or not at all"
        outcome = imported(Criteo(), file, rows_per_day=100, max_bad_share=0.1)
        assert (outcome.num_bad, sum(outcome.rows.values())) == (1, 300)
        assert content(logs) == whole
        days = [f"date=2026-11-0{day}" for day in (1, 2, 3, 4)]
        assert sorted(path.name for path in logs.iterdir()) == ["_imports", *days, "quarantine"]
