import json
from datetime import date
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from pipeline.data.quality import check_rows
from pipeline.synthetic import log
from pipeline.synthetic.impressions import Impressions
from pipeline.synthetic.log import generate
from pipeline.synthetic.presets import PresetName
from pipeline.synthetic.truth import Truth, auc
from pipeline.synthetic.world import World
from schemas import click_log
from schemas.errors import Refusal
from schemas.features import FeatureSpec
from schemas.loading import load

NUM_DAYS, ROWS, SEED = 3, 20_000, 7
SPEC = load(FeatureSpec, Path(__file__).parents[2] / "jobs/configs/synthetic_features.yaml")


@pytest.fixture(scope="module", params=["apps", pytest.param("ads", marks=pytest.mark.slow)])
def preset(request: pytest.FixtureRequest) -> PresetName:
    return request.param


@pytest.fixture(scope="module")
def log_dir(tmp_path_factory: pytest.TempPathFactory, preset: PresetName) -> Path:
    directory = tmp_path_factory.mktemp("synthetic") / "log"
    generate(str(directory), NUM_DAYS, ROWS, SEED, preset=preset)
    return directory


@pytest.fixture(scope="module")
def truth(log_dir: Path) -> Truth:
    return Truth.model_validate_json((log_dir / "truth.json").read_text())


@pytest.fixture(scope="module")
def days(log_dir: Path) -> list[pa.Table]:
    return [read_day(log_dir, day) for day in range(1, NUM_DAYS + 1)]


@pytest.fixture(scope="module")
def world(preset: PresetName) -> World:
    """On the first day."""
    world = World(ROWS, SEED, preset)
    world.begin_day(0)
    return world


@pytest.fixture(scope="module")
def first_day_logits(world: World) -> np.ndarray:
    """The true logits of the rows that the first day's file holds."""
    return world.logits(world.draw(world.rng(day=0, stream=2), ROWS))


def read_day(log_dir: Path, day: int) -> pa.Table:
    parts = sorted((log_dir / f"date=2026-11-{day:02}").glob("*.parquet"))
    return pa.concat_tables([pq.ParquetFile(part).read() for part in parts])


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def contents(log_dir: Path) -> dict[str, tuple[int, bytes]]:
    """Modification time and bytes of every file."""
    files = [path for path in log_dir.rglob("*") if path.is_file()]
    return {str(path.relative_to(log_dir)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_the_log_is_one_complete_folder_a_day_beside_its_truth(log_dir):
    one_day = {"part-0.parquet", "_SUCCESS"}
    days = {f"date=2026-11-0{day}/{name}" for day in (1, 2, 3) for name in one_day}
    assert set(contents(log_dir)) == days | {"truth.json"}


def test_the_log_keeps_the_contract_of_its_feature_spec(days):
    for table in days:
        click_log.check(table.schema, SPEC, "the log")
        check_rows(table, SPEC, "the log")
        assert sorted(table.column_names) == sorted(SPEC.columns)


def test_every_day_has_its_rows_and_two_to_five_clicks_in_a_hundred(truth, days):
    for day, table in zip(truth.days, days, strict=True):
        assert day.rows == table.num_rows == ROWS
        assert day.clicks == pc.sum(table["click"]).as_py()
        assert 0.02 < day.click_rate < 0.05


def test_the_truth_is_worth_learning(truth):
    for day in truth.days:
        assert 0.65 < day.ne < 0.85
        assert 0.8 < day.auc < 0.92


def test_the_figures_of_the_truth_are_those_of_scikit_learn_on_the_labels_in_the_log(truth, days, first_day_logits):
    clicks, p, day = days[0]["click"].to_numpy(), sigmoid(first_day_logits), truth.days[0]
    base_rate = np.full(ROWS, clicks.mean())
    assert day.log_loss == pytest.approx(log_loss(clicks, p))
    assert day.ne == pytest.approx(log_loss(clicks, p) / log_loss(clicks, base_rate))
    assert day.auc == pytest.approx(roc_auc_score(clicks, p))
    assert day.expected_click_rate == pytest.approx(p.mean())
    assert day.expected_log_loss == pytest.approx(-(p * np.log(p) + (1 - p) * np.log(1 - p)).mean())


def test_labels_agree_with_the_true_probabilities_in_every_tenth_of_them(days, first_day_logits):
    clicks, p = days[0]["click"].to_numpy(), sigmoid(first_day_logits)
    for rows in np.array_split(np.argsort(p), 10):
        standard_error = np.sqrt((p[rows] * (1 - p[rows])).sum())
        assert abs(clicks[rows].sum() - p[rows].sum()) < 4 * standard_error


@pytest.mark.parametrize(
    "disturb",
    [
        lambda logits, noise: logits + 0.2 * noise,
        lambda logits, noise: logits + 0.1,
        lambda logits, noise: 0.9 * logits - 0.2,
        lambda logits, noise: np.full_like(logits, logits.mean()),
    ],
    ids=["noisy", "shifted", "flattened", "constant"],
)
def test_no_other_logits_score_better_in_expectation_over_the_labels(truth, first_day_logits, disturb):
    p = sigmoid(first_day_logits)
    other = disturb(first_day_logits, np.random.default_rng(0).standard_normal(ROWS))
    expected_log_loss = (np.logaddexp(0, other) - p * other).mean()
    assert expected_log_loss > truth.days[0].expected_log_loss + 1e-4


def test_auc_by_hand():
    # (.9, .1), (.9, .5) and (.5, .1) are won, (.5, .5) is a tie: 3.5 of 4 pairs.
    assert auc(np.array([0.9, 0.5]), np.array([0.1, 0.5])) == 0.875


def test_the_fm_part_is_the_sum_over_all_pairs_of_fields(world):
    rows = world.draw(np.random.default_rng(0), 5)
    sizes = (0.25, -0.3, 0.15)
    views, price, balance = (rows.numbers[name] for name in ("num_past_views", "price", "balance_delta"))
    z = ((np.log1p(views) - 1.7) / 1.2, np.log(price) - 2.5, np.arcsinh(balance / 5) / 1.5)
    for row in range(5):
        expected = sum(size * np.nan_to_num(x[row]) for size, x in zip(sizes, z, strict=True))
        cells = [
            (world.fields[name].w[index[row]], world.fields[name].v[index[row]]) for name, index in rows.ids.items()
        ]
        for f, (w, v) in enumerate(cells):
            expected += w + sum(v @ other for _, other in cells[:f])
        assert world._parts(rows)[0][row] == pytest.approx(expected, rel=1e-5)


def test_the_net_mixes_three_fields_where_the_fm_mixes_two(world):
    # The third difference of any sum of pairwise terms is 0: f(1,1,1) - f(0,1,1) - ... - f(0,0,0) with signs.
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    row = world.draw(np.random.default_rng(0), 1)
    ids = {name: np.repeat(index, 8) for name, index in row.ids.items()}
    ids |= dict(zip(("category", "device", "country"), corners.T, strict=True))
    rows = Impressions(ids, {name: np.repeat(x, 8) for name, x in row.numbers.items()})
    fm, net = (part @ (-1.0) ** corners.sum(axis=1) for part in world._parts(rows))
    assert fm == pytest.approx(0, abs=1e-5)
    assert abs(net) > 0.1


def test_the_first_days_are_the_same_when_more_are_generated(tmp_path, preset, truth, days):
    more = generate(str(tmp_path), NUM_DAYS + 1, ROWS, SEED, preset=preset)
    assert more.days[:NUM_DAYS] == truth.days
    for day, table in enumerate(days, start=1):
        assert read_day(tmp_path, day).equals(table)


def test_another_seed_is_another_log(tmp_path, preset, days):
    generate(str(tmp_path), 1, ROWS, SEED + 1, preset=preset)
    assert not read_day(tmp_path, 1)["item_id"].equals(days[0]["item_id"])


def test_a_large_day_is_written_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(log, "ROWS_PER_PART", 400)
    truth = generate(str(tmp_path), 1, 1000, SEED, first_date=date(2026, 12, 31))
    parts = sorted((tmp_path / "date=2026-12-31").glob("*.parquet"))
    tables = [pq.ParquetFile(part).read() for part in parts]
    assert [table.num_rows for table in tables] == [400, 400, 200]
    row_ids = [row_id for table in tables for row_id in table["row_id"].to_pylist()]
    assert row_ids == [2026_1231_00_0000_0000 + row for row in range(1000)]
    assert not tables[0]["site_id"].equals(tables[1]["site_id"])
    assert truth.days[0].rows == 1000


def test_few_ids_are_seen_often_and_many_seldom(days):
    for column, least_share in (("item_id", 0.4), ("user_id", 0.25), ("site_id", 0.4)):
        counts = np.sort(days[0][column].value_counts().field("counts").to_numpy())[::-1]
        assert counts[: len(counts) // 10].sum() > least_share * ROWS
        assert counts[0] > 10 * np.median(counts)


def test_every_day_shows_new_users_and_items(days):
    for column in ("user_id", "item_id"):
        seen: set[object] = set(days[0][column].to_pylist())
        for table in days[1:]:
            today = set(table[column].to_pylist())
            assert len(today - seen) > 0.02 * len(seen)
            seen |= today


def test_who_is_new_today_has_no_past(days, world):
    first_new = world.population.users.number[-1] + 2  # the log calls the first of all 1
    newcomers = days[1].filter(pc.greater_equal(days[1]["user_id"], first_new))
    assert newcomers.num_rows > 0
    assert pc.max(newcomers["num_past_views"]).as_py() == 0
    assert newcomers["user_ctr"].null_count == newcomers.num_rows


def test_an_item_keeps_its_advertiser_and_category_and_a_user_country_and_interests(days):
    for owner, owned in (("item_id", "advertiser_id"), ("item_id", "category"), ("user_id", "country")):
        pairs = {(row[owner], row[owned]) for table in days for row in table.select([owner, owned]).to_pylist()}
        assert len(pairs) == len({pair[0] for pair in pairs})


def test_values_are_missing_where_a_log_would_miss_them(days):
    shares = {name: days[0][name].null_count / ROWS for name in days[0].column_names}
    missing = {name for name, share in shares.items() if share > 0}
    assert missing == {"interests", "country", "site_id", "user_ctr", "price", "balance_delta"}
    assert all(0.005 < shares[name] < 0.3 for name in missing)


def test_interests_are_null_empty_or_up_to_six_different_ones(days):
    lists = days[0]["interests"].to_pylist()
    assert {len(values) for values in lists if values is not None} == set(range(7))
    assert all(len(values) == len(set(values)) for values in lists if values is not None)


def test_numbers_are_skewed_and_within_their_range(days):
    numbers = {name: pc.drop_null(days[0][name]).to_numpy() for name in ("price", "num_past_views", "user_ctr")}
    for values in numbers.values():
        assert values.min() >= 0
        assert values.mean() > 1.1 * np.median(values)
    assert numbers["user_ctr"].max() <= 1
    balance = pc.drop_null(days[0]["balance_delta"]).to_numpy()
    assert (balance < 0).mean() == pytest.approx(0.5, abs=0.02)


def test_the_same_log_asked_for_again_is_left_as_it_is(tmp_path):
    first = generate(str(tmp_path), 2, 200, SEED)
    before = contents(tmp_path)
    assert generate(f"{tmp_path}/", 2, 200, SEED) == first
    assert contents(tmp_path) == before


def test_a_call_that_was_cut_short_goes_on_after_its_last_whole_day(tmp_path):
    whole = generate(str(tmp_path / "whole"), 3, 200, SEED)
    generate(str(tmp_path / "cut"), 3, 200, SEED)
    cut_short = whole.model_copy(update={"days": whole.days[:1]})
    (tmp_path / "cut" / "truth.json").write_text(cut_short.model_dump_json())
    (tmp_path / "cut" / "date=2026-11-03" / "part-0.parquet").unlink()
    before = contents(tmp_path / "cut")
    assert generate(str(tmp_path / "cut"), 3, 200, SEED) == whole
    for day in (1, 2, 3):
        assert read_day(tmp_path / "cut", day).equals(read_day(tmp_path / "whole", day))
    first_day = "date=2026-11-01/part-0.parquet"
    assert contents(tmp_path / "cut")[first_day] == before[first_day]


def test_a_log_may_lie_on_any_file_system():
    truth = generate("memory://synthetic/log", 1, 200, SEED)
    fs = fsspec.filesystem("memory")
    names = [path.removeprefix("/synthetic/log/") for path in fs.find("/synthetic/log")]
    assert names == ["date=2026-11-01/_SUCCESS", "date=2026-11-01/part-0.parquet", "truth.json"]
    assert generate("memory://synthetic/log", 1, 200, SEED) == truth


def test_truth_json_says_what_its_figures_are(log_dir):
    truth = json.loads((log_dir / "truth.json").read_text())
    assert set(truth["legend"]) == set(truth["days"][0])
    assert "best possible" in truth["legend"]["ne"]


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"days": 0}, "0"),
        ({"rows_per_day": 99}, "99"),
        ({"seed": -1}, "-1"),
        ({"days": 3}, "2 days from 2026-11-01, 200 rows a day, seed 7"),
        ({"rows_per_day": 201}, "200 rows a day"),
        ({"seed": 8}, "seed 7"),
        ({"first_date": date(2026, 11, 2)}, "from 2026-11-01"),
        ({"preset": "apps"}, "preset ads"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_other_arguments_are_refused_and_nothing_is_touched(tmp_path, changed, found):
    arguments = {"out_uri": str(tmp_path), "days": 2, "rows_per_day": 200, "seed": SEED}
    generate(**arguments)
    before = contents(tmp_path)
    with pytest.raises(Refusal) as refusal:
        generate(**(arguments | changed))
    assert found in refusal.value.found
    assert contents(tmp_path) == before


def test_a_log_of_before_there_were_presets_is_left_as_it_is_when_apps_is_asked_for(tmp_path):
    generate(str(tmp_path), 2, 200, SEED, preset="apps")
    told = json.loads((tmp_path / "truth.json").read_text())
    del told["preset"]
    for day in told["days"]:
        del day["ids"]
    (tmp_path / "truth.json").write_text(json.dumps(told))
    before = contents(tmp_path)
    assert len(generate(str(tmp_path), 2, 200, SEED, preset="apps").days) == 2
    with pytest.raises(Refusal, match="preset apps"):
        generate(str(tmp_path), 2, 200, SEED, preset="ads")
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "found"), [("date=2026-11-01/part-0.parquet", "without a truth"), ("truth.json", "did not write")]
)
def test_a_folder_with_someone_elses_days_is_refused(tmp_path, name, found):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("{}")
    with pytest.raises(Refusal, match=found):
        generate(str(tmp_path), 2, 200, SEED)
    assert list(contents(tmp_path)) == [name]
