import contextlib
import io
import re
import shutil
import threading
from datetime import date
from pathlib import Path

import damage
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from bundles import write_random_bundle
from click_logs import SPEC, click_rows, data_of, write_day, write_random_log
from sklearn import metrics

from jobs import errors
from pipeline.data import logs
from pipeline.data.split import ResolvedSplit
from pipeline.registry.bundle import Bundle
from pipeline.runtime import files
from pipeline.scoring import score as scoring
from pipeline.scoring.day_folder import DayFolder
from pipeline.scoring.held_out import evaluate
from schemas.config import DataConfig
from schemas.errors import Refusal
from schemas.features import FeatureSpec
from schemas.scores import DayScores

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("cluster")]
SPECIFICATION = FeatureSpec.model_validate(SPEC)
DAYS = [date(2026, 11, day) for day in (1, 2, 3)]
ROWS_PER_PART = 250  # of 1000 a day, in four row groups
NUM_PARTS = 4


@pytest.fixture
def logs_uri(tmp_path: Path) -> str:
    write_random_log(tmp_path / "logs", num_days=3, rows_per_day=1000)
    return str(tmp_path / "logs")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_random_bundle(tmp_path_factory.mktemp("one"), click_rows())


@pytest.fixture(scope="module")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_random_bundle(tmp_path_factory.mktemp("other"), click_rows(), seed=1)


@pytest.fixture(params=["disk", "s3"])
def out(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "disk":
        return str(tmp_path / "out")
    return f"{request.getfixturevalue('bucket')}/{tmp_path.name}"


def score(bundle: Bundle, logs_uri: str, days: list[date], out: str, name: str = "models:/ctr/1", **how: bool) -> int:
    manifest = logs.find(data_of(logs_uri, SPECIFICATION), days, labelled=False)
    return scoring.score(bundle, name, manifest, out, ROWS_PER_PART, **how)


def listing(out: str) -> dict[str, str]:
    """Path below `out`, the key in its name as *, -> when it was written."""
    fs, root = fsspec.core.url_to_fs(out)
    fs.invalidate_cache()
    paths = {path.removeprefix(f"{root}/"): str(fs.modified(path)) for path in fs.find(root)}
    return {re.sub("-[0-9a-f]{16}", "-*", path): when for path, when in paths.items()}


def folder_of(day: date, num_parts: int = NUM_PARTS) -> set[str]:
    return {f"date={day}/_SUCCESS", *(f"date={day}/part-{index:04d}-*.parquet" for index in range(num_parts))}


def waiting(bundle: Bundle, logs_uri: str, day: date, out: str, name: str = "models:/ctr/1") -> DayFolder:
    """What a call would fill."""
    manifest = logs.find(data_of(logs_uri, SPECIFICATION), [day], labelled=False)
    return scoring.day_folder(bundle, name, manifest, out, ROWS_PER_PART)


def scores_of(out: str, day: date) -> pa.Table:
    fs, root = fsspec.core.url_to_fs(out)
    return pq.read_table(f"{root}/date={day}", filesystem=fs, partitioning=None)


def log_of(logs_uri: str, day: date) -> pa.Table:
    return pq.read_table(f"{logs_uri}/date={day}", partitioning=None)


def assert_scored(out: str, logs_uri: str, day: date, bundle: Bundle, name: str = "models:/ctr/1") -> None:
    """A row group is a batch; other batches could differ in the last bit."""
    scores = scores_of(out, day).sort_by("row")
    assert scores.column_names == ["row", "probability", "model_version"]
    log = pq.ParquetFile(f"{logs_uri}/date={day}/part-0.parquet")
    groups = [log.read_row_group(index) for index in range(log.num_row_groups)]
    assert scores["row"].to_pylist() == [row for group in groups for row in group["row"].to_pylist()]
    expected = np.concatenate([bundle.probabilities(group) for group in groups])
    assert np.array_equal(scores["probability"].to_numpy(), expected)
    assert set(scores["model_version"].to_pylist()) == {name}


def test_scores_are_the_bundles_probabilities_to_the_bit_and_success_says_whose(bundle, logs_uri, out):
    assert score(bundle, logs_uri, DAYS[:2], out) == 2000
    assert set(listing(out)) == folder_of(DAYS[0]) | folder_of(DAYS[1])
    for day in DAYS[:2]:
        assert_scored(out, logs_uri, day, bundle)
        said = DayScores.model_validate_json(files.read_bytes(f"{out}/date={day}/_SUCCESS"))
        assert (said.model_uri, said.rows) == ("models:/ctr/1", 1000)
        assert said.manifest == logs.find(data_of(logs_uri, SPECIFICATION), [day]).fingerprint


def test_a_lone_part_is_scored_here_on_one_thread_as_a_task_would(bundle, logs_uri, tmp_path, monkeypatch):
    seen, own, probabilities = [], torch.get_num_threads(), Bundle.probabilities

    def watched(bundle: Bundle, log: pa.Table) -> np.ndarray:
        seen.append(torch.get_num_threads())
        return probabilities(bundle, log)

    monkeypatch.setattr(Bundle, "probabilities", watched)
    torch.set_num_threads(3)
    try:
        manifest = logs.find(data_of(logs_uri, SPECIFICATION), DAYS[:1], labelled=False)
        scoring.score(bundle, "models:/ctr/1", manifest, str(tmp_path / "out"), rows_per_part=1000)
        assert (set(seen), torch.get_num_threads()) == ({1}, 3)
    finally:
        torch.set_num_threads(own)


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(bundle, logs_uri, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file") as met:
        score(bundle, logs_uri, DAYS[:1], str(tmp_path / "file" / "out"))
    said = errors.in_words(met.value)
    assert said
    assert re.match(r"^files cannot be read or written: .*file.*; the same command goes on from here$", said)


def test_the_days_scores_are_those_that_its_evaluation_judges(bundle, logs_uri, tmp_path):
    score(bundle, logs_uri, DAYS[2:], str(tmp_path / "out"))
    manifest = logs.find(data_of(logs_uri, SPECIFICATION), DAYS[2:])
    data = DataConfig(logs_uri=logs_uri, features=SPECIFICATION, rows_per_part=ROWS_PER_PART)
    split = ResolvedSplit(tuple(DAYS[:2]), tuple(DAYS[2:]))
    judged = evaluate(bundle, manifest, data, split).metrics().as_dict()
    p = scores_of(str(tmp_path / "out"), DAYS[2]).sort_by("row")["probability"].to_numpy()
    clicks = log_of(logs_uri, DAYS[2]).sort_by("row")["click"].to_numpy()
    assert judged["log_loss"] == pytest.approx(metrics.log_loss(clicks, p.astype(np.float64)), rel=1e-6)
    assert judged["auc"] == pytest.approx(metrics.roc_auc_score(clicks, p), abs=2 * judged["auc_error"] + 1e-9)


def test_a_day_is_added_beside_others_which_stay_untouched(bundle, logs_uri, out):
    score(bundle, logs_uri, DAYS[:1], out)
    before = listing(out)
    assert score(bundle, logs_uri, DAYS[:2], out) == 2000
    after = listing(out)
    assert {path: after[path] for path in before} == before
    assert set(after) == folder_of(DAYS[0]) | folder_of(DAYS[1])


def test_the_same_again_writes_nothing(bundle, logs_uri, out):
    score(bundle, logs_uri, DAYS[:1], out)
    before = listing(out)
    assert score(bundle, logs_uri, DAYS[:1], out) == 1000
    assert score(bundle, logs_uri, DAYS[:1], out, overwrite=True) == 1000
    assert listing(out) == before


def test_a_complete_day_of_which_a_part_is_damaged_is_scored_again(bundle, logs_uri, tmp_path, caplog):
    out = str(tmp_path / "out")
    score(bundle, logs_uri, DAYS[:1], out)
    expected = scores_of(out, DAYS[0])
    for kind in ("removed", "cut", "a-folder"):
        part = min(Path(out).glob("date=*/part-*"))
        damage.KINDS[kind](part)
        score(bundle, logs_uri, DAYS[:1], out)
        assert scores_of(out, DAYS[0]).equals(expected)
        assert f"{part.name} is damaged or gone: the day is scored again" in caplog.text


def test_a_damaged_success_of_scores_is_refused_and_no_part_is_touched(bundle, logs_uri, tmp_path):
    score(bundle, logs_uri, DAYS[:1], str(tmp_path / "out"))
    folder = tmp_path / f"out/date={DAYS[0]}"
    for kind in sorted({*damage.KINDS} - {"removed", "another-version", "flipped"}):
        damaged = shutil.copytree(folder, tmp_path / kind / folder.name)
        damage.KINDS[kind](damaged / "_SUCCESS")
        before = listing(str(tmp_path / kind))
        with pytest.raises(Refusal, match="complete scores"):
            score(bundle, logs_uri, DAYS[:1], str(tmp_path / kind))
        assert listing(str(tmp_path / kind)) == before


def test_another_model_is_refused_and_overwrites_when_told_to(bundle, other_bundle, logs_uri, out):
    score(bundle, logs_uri, DAYS[:1], out)
    before = listing(out)
    with pytest.raises(Refusal, match="complete scores by models:/ctr/1"):
        score(other_bundle, logs_uri, DAYS[:2], out, "models:/ctr/2")
    assert listing(out) == before, "nothing of the other day was begun either"
    score(other_bundle, logs_uri, DAYS[:1], out, "models:/ctr/2", overwrite=True)
    assert set(listing(out)) == folder_of(DAYS[0])
    assert_scored(out, logs_uri, DAYS[0], other_bundle, "models:/ctr/2")


def test_a_uri_that_names_another_model_by_now_is_another_model(bundle, other_bundle, logs_uri, tmp_path):
    score(bundle, logs_uri, DAYS[:1], str(tmp_path / "out"))
    with pytest.raises(Refusal, match="complete scores"):
        score(other_bundle, logs_uri, DAYS[:1], str(tmp_path / "out"))


def test_a_log_that_changed_is_refused_and_a_day_of_fewer_parts_leaves_no_old_one(bundle, logs_uri, out):
    score(bundle, logs_uri, DAYS[:1], out)
    write_day(Path(logs_uri), DAYS[0], click_rows(), row_group_size=8)
    with pytest.raises(Refusal, match="a log that has changed since"):
        score(bundle, logs_uri, DAYS[:1], out)
    assert score(bundle, logs_uri, DAYS[:1], out, overwrite=True) == 8
    assert set(listing(out)) == folder_of(DAYS[0], num_parts=1)
    assert_scored(out, logs_uri, DAYS[0], bundle)


def test_parts_of_an_interrupted_call_wait_and_days_before_it_are_complete(bundle, logs_uri, out):
    day_file = Path(logs_uri, f"date={DAYS[1]}", "part-0.parquet")
    undamaged = day_file.read_bytes()
    page = pq.ParquetFile(day_file).metadata.row_group(3).column(1).dictionary_page_offset
    day_file.write_bytes(undamaged[:page] + bytes(40) + undamaged[page + 40 :])
    with pytest.raises(Refusal, match="not whole Parquet"):
        score(bundle, logs_uri, DAYS[:2], out)
    parts = {f"_tmp-{DAYS[1]}-*/part-{index:04d}-*.parquet" for index in range(3)}
    assert set(listing(out)) == folder_of(DAYS[0]) | parts

    day_file.write_bytes(undamaged)
    assert score(bundle, logs_uri, DAYS[:2], out) == 2000
    assert set(listing(out)) == folder_of(DAYS[0]) | folder_of(DAYS[1])
    assert_scored(out, logs_uri, DAYS[1], bundle)


def test_a_waiting_part_is_not_computed_again_and_half_a_file_goes(bundle, logs_uri, out, tmp_path):
    elsewhere = str(tmp_path / "elsewhere")
    score(bundle, logs_uri, DAYS[:1], elsewhere)
    to_fill = waiting(bundle, logs_uri, DAYS[0], out)
    name = to_fill.part_name(2)
    marked = pq.read_table(f"{elsewhere}/date={DAYS[0]}/{name}", partitioning=None)
    pq.write_table(marked, tmp_path / name, compression="none")
    content = (tmp_path / name).read_bytes()
    files.write_bytes(f"{to_fill.waiting_uri}/{name}", content)
    files.write_bytes(f"{to_fill.waiting_uri}/.{to_fill.part_name(3)}.0123abcd", b"half")
    score(bundle, logs_uri, DAYS[:1], out)
    assert files.read_bytes(f"{out}/date={DAYS[0]}/{name}") == content
    assert set(listing(out)) == folder_of(DAYS[0])
    assert_scored(out, logs_uri, DAYS[0], bundle)


def test_a_call_that_died_while_it_replaced_a_day_is_concluded_by_the_next(bundle, other_bundle, logs_uri, out):
    # What it leaves on a disk: the new day waits, the old one is moved aside. In an object store: a few parts of the
    # new day without _SUCCESS.
    score(other_bundle, logs_uri, DAYS[:1], out, "models:/ctr/2")
    fs, root = fsspec.core.url_to_fs(out)
    new = waiting(other_bundle, logs_uri, DAYS[0], out, "models:/ctr/2")
    place, waits = f"{root}/date={DAYS[0]}", fs._strip_protocol(new.waiting_uri)
    for path in fs.find(place):
        fs.makedirs(waits, exist_ok=True)
        fs.cp_file(path, f"{waits}/{path.rsplit('/', 1)[-1]}")
    when_computed = {path.rsplit("/", 1)[-1]: fs.cat_file(path) for path in fs.find(waits)}
    fs.rm_file(f"{place}/_SUCCESS")
    fs.rm_file(f"{place}/{new.part_name(1)}")
    if "file" in fs.protocol:
        fs.mv(place, f"{root}/_tmp-{DAYS[0]}-old")
    score(other_bundle, logs_uri, DAYS[:1], out, "models:/ctr/2")
    assert set(listing(out)) == folder_of(DAYS[0])
    assert {path.rsplit("/", 1)[-1]: fs.cat_file(path) for path in fs.find(place)} == when_computed
    assert_scored(out, logs_uri, DAYS[0], other_bundle, "models:/ctr/2")


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("is_marked", [False, True])
def test_a_folder_of_other_files_is_never_touched(bundle, logs_uri, overwrite, is_marked):
    if is_marked:
        Path(logs_uri, f"date={DAYS[0]}", "_SUCCESS").touch()
    before = listing(logs_uri)
    with pytest.raises(Refusal, match="files that are no complete scores"):
        score(bundle, logs_uri, DAYS[:1], logs_uri, overwrite=overwrite)
    assert listing(logs_uri) == before


def test_a_reader_of_a_day_that_is_replaced_never_gets_a_mix(bundle, other_bundle, logs_uri, out):
    bundles = {"models:/ctr/1": bundle, "models:/ctr/2": other_bundle}
    score(bundle, logs_uri, DAYS[:1], out)
    seen, ended = [], threading.Event()
    place = f"{out}/date={DAYS[0]}"

    def read() -> None:
        fs, path = fsspec.core.url_to_fs(place, skip_instance_cache=True, use_listings_cache=False)
        while not ended.is_set():
            with contextlib.suppress(FileNotFoundError, OSError):
                names = fs.ls(path, detail=False)
                if f"{path}/_SUCCESS" in names:
                    parts = [pq.read_table(io.BytesIO(fs.cat_file(name))) for name in names if "part-" in name]
                    seen.append((set(pa.concat_tables(parts)["model_version"].to_pylist()), sum(map(len, parts))))

    reader = threading.Thread(target=read)
    reader.start()
    for name in ["models:/ctr/2", "models:/ctr/1"] * 2:
        score(bundles[name], logs_uri, DAYS[:1], out, name, overwrite=True)
    ended.set()
    reader.join()
    assert len(seen) > 4
    assert all(len(models) == 1 and rows == 1000 for models, rows in seen)


def rewrite(logs_uri: str, day: date, column: str, values: pa.Array) -> None:
    path = Path(logs_uri, f"date={day}", "part-0.parquet")
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.set_column(table.column_names.index(column), column, values), path, row_group_size=250)


def test_a_score_that_is_not_finite_is_written_nowhere(bundle, logs_uri, tmp_path):
    rewrite(logs_uri, DAYS[0], "price", pa.array([1.0] * 999 + [1e300]))
    with pytest.raises(Exception, match="no finite score of 1 of 250 rows") as failed:
        score(bundle, logs_uri, DAYS[:1], str(tmp_path / "out"))
    assert "row group 3: the model makes no finite score" in (errors.in_words(failed.value) or "")
    assert not list((tmp_path / "out").glob("date=*"))


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (pa.array([b"x"] * 999 + [b"\xff"], pa.binary()).view(pa.string()), r"b'\\xff' \(1 such rows\)"),
        (pa.array([1.0] * 999 + [0.5]), r"0.5 \(1 such rows\)(.|\n)*Int64"),
    ],
)
def test_rows_to_be_scored_whose_categories_cannot_be_read_are_refused(bundle, logs_uri, tmp_path, values, found):
    rewrite(logs_uri, DAYS[0], "site", values)
    with pytest.raises(Refusal, match=found):
        score(bundle, logs_uri, DAYS[:1], str(tmp_path / "out"))
