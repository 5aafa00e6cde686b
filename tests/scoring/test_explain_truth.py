"""What fields are worth on the synthetic log, whose world says what each of them truly is."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from bundles import bundle_of

from pipeline.data import vocabulary
from pipeline.data.vocabulary import Vocabulary
from pipeline.evaluation.metrics import Sums
from pipeline.evaluation.worth import FieldWorth
from pipeline.registry.bundle import Bundle
from pipeline.scoring.explain import worth_of
from pipeline.synthetic.chance import sigmoid
from pipeline.synthetic.clicks import W_OF_NUMBERS, scaled
from pipeline.synthetic.impressions import Impressions
from pipeline.synthetic.values import DIMENSION, INTERESTS, VALUES
from pipeline.synthetic.world import World
from pipeline.training import initialize
from schemas.config import TrainConfig

ROWS, SHUFFLES = 8_000, 5
IDS = ("user_id", "item_id", "advertiser_id", "category", "country", "device", "hour", "site_id")
KINDS = {name: "categorical" for name in (*IDS, "noise")} | {"interests": "multi_valued"}
FIELDS = [{"name": name, "kind": kind} for name, kind in KINDS.items()]
FIELDS += [{"name": name, "kind": "numeric", "encoder": {"type": "scale"}} for name in W_OF_NUMBERS]


def texts_of(world: World) -> dict[str, list[str]]:
    """Of each field, how the log writes the values that the rows of its embeddings are of."""
    users, items = world.population.users, world.population.items
    advertisers = range(len(world.values.fields["advertiser_id"].w))
    return {
        **{name: [*texts] for name, texts in VALUES.items()},
        "user_id": [str(number + 1) for number in users.number],
        "item_id": [f"item{number}" for number in items.number],
        "advertiser_id": [f"adv{number}" for number in advertisers],
        "hour": [*map(str, range(24))],
        "interests": [*INTERESTS],
    }


def true_model(world: World, log: pa.Table, folder: Path) -> Bundle:
    """The FM of the world, which gives the values of a column of noise what a table that has learned gives to some."""
    config = TrainConfig.model_validate(
        {
            "data": {"logs_uri": "/logs", "features": {"label": "click", "fields": FIELDS}},
            "stages": [{"name": "fm", "model": "fm"}],
            "table": {"dimension": DIMENSION},
        }
    )
    vocab = vocabulary.build(config.data.features, vocabulary.count(log, config.data.features))
    state = initialize.from_scratch(config.stages[0], config, vocab.num_ids)
    rows, own = state.table.rows.zero_().numpy(), {one.name: one for one in vocab.fields}
    a, ids_of_noise = world.fm_scale, _ids(vocab, "noise")
    for name, texts in texts_of(world).items():
        w, v = (world.values.fields if name == "interests" else world.fields)[name]
        w = w + world.population.items.appeal if name == "item_id" else w
        of_text, ids = dict(zip(texts, range(len(texts)), strict=True)), _ids(vocab, name)
        places = [of_text[text] for text in ids]
        rows[[*ids.values()]] = np.column_stack([a * w, np.sqrt(a) * v])[places]
        if len(w) > len(texts):  # the last is null's
            rows[own[name].missing] = [a * w[-1], *np.sqrt(a) * v[-1]]
    for name, w_of_number in W_OF_NUMBERS.items():
        rows[own[name].block, 0] = a * w_of_number * own[name].scale
    rows[[*ids_of_noise.values()]] = np.random.default_rng(4).normal(0, 0.03, (len(ids_of_noise), 1 + DIMENSION))
    shifts = sum(w_of_number * own[name].shift for name, w_of_number in W_OF_NUMBERS.items())
    state.model.w0.data = torch.tensor(world.intercept + a * shifts, dtype=torch.float32)
    return bundle_of(config, state, vocab, folder)


def _ids(vocab: Vocabulary, field: str) -> dict[str, int]:
    learned = zip(vocab.values.to_pylist(), vocab.value_ids.tolist(), strict=True)
    return {one["value"]: value_id for one, value_id in learned if one["field"] == field}


@pytest.fixture(scope="module")
def world() -> World:
    """On its first day, whose clicks are a factorization machine's alone."""
    world = World(2_000, seed=1, preset="ads")
    world.begin_day(0)
    world.net_scale = 0.0
    return world


@pytest.fixture(scope="module")
def drawn(world: World) -> tuple[Impressions, pa.Table]:
    """Rows as the world has them and as a log has, numbers in the world's scale, with a column that says nothing."""
    chance = np.random.default_rng(2)
    rows = world.draw(chance, ROWS)
    clicks = chance.random(ROWS) < sigmoid(world.logits(rows))
    noise = chance.integers(0, 20, ROWS)
    columns = world.columns(rows) | scaled(rows.numbers)
    return rows, pa.table({**columns, "noise": noise, "click": clicks.astype(np.int8)})


@pytest.fixture(scope="module")
def worth(world, drawn, tmp_path_factory) -> dict[str, FieldWorth]:
    _, log = drawn
    bundle = true_model(world, log, tmp_path_factory.mktemp("bundle"))
    found = worth_of(bundle, bundle.encoder.encode(log), SHUFFLES, "the log", lambda _: None)
    return {one.name: one for one in found.by_rise}


@pytest.fixture(scope="module")
def truth(world: World, drawn: tuple[Impressions, pa.Table]) -> dict[str, float]:
    """The rises of NE by what the world itself makes of rows whose values of one field are exchanged, highest first."""
    (ids, numbers), clicks = drawn[0], drawn[1]["click"].to_numpy()
    chance = np.random.default_rng(0)
    orders = [chance.permutation(ROWS) for _ in range(SHUFFLES)]

    def ne(ids: dict, numbers: dict) -> float:
        return Sums.of(world.logits(Impressions(ids, numbers)).astype(np.float32), clicks).metrics().ne

    found = {name: np.mean([ne(ids | {name: ids[name][order]}, numbers) for order in orders]) for name in ids}
    for name in W_OF_NUMBERS:
        found[name] = np.mean([ne(ids, numbers | {name: numbers[name][order]}) for order in orders])
    rises = {name: float(mean - ne(ids, numbers)) for name, mean in found.items()}
    return dict(sorted(rises.items(), key=lambda one: -one[1]))


def test_fields_are_worth_what_the_world_that_made_the_clicks_says(worth, truth):
    for name, rise in truth.items():
        assert worth[name].rise == pytest.approx(rise, rel=0.02, abs=2e-4), name


def test_a_column_of_noise_is_worth_about_nothing_and_its_interval_lies_over_0(worth):
    low, high = worth["noise"].bounds
    assert low < 0 < high  # as for two noises of three: the rows as they are differ from a shuffle by chance alone
    assert abs(worth["noise"].rise) < 0.001


def test_what_truly_matters_comes_out_on_top(worth, truth):
    assert [name for name in worth if name != "noise"][:6] == [*truth][:6]
    assert [*worth].index("noise") > 6
