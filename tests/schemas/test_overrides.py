"""An override changes what it names and nothing else, however the file spells what stages share."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.config import TrainConfig
from schemas.errors import Refusal
from schemas.loading import load, read_yaml
from schemas.sweep import SweepConfig, draw_trials

DEMO = Path(__file__).parents[2] / "jobs" / "configs" / "demo.yaml"
HEAD = """
data:
  logs_uri: logs
  features: {label: click, fields: [{name: user, kind: categorical}]}
stages:
  - {name: fm, model: fm}
"""
SHARED_MAPPING = """
  - {name: fnn, model: fnn, init_from: fm, mlp: &mlp {hidden: [8, 4]}}
  - {name: deepfm, model: deepfm, init_from: fm, mlp: *mlp}
"""
SHARED_LIST = """
  - {name: fnn, model: fnn, init_from: fm, mlp: {hidden: &hidden [8, 4]}}
  - {name: deepfm, model: deepfm, init_from: fm, mlp: {hidden: *hidden}}
"""
MERGED = """
  - &base {name: fnn, model: fnn, init_from: fm, mlp: {hidden: [8, 4]}}
  - {<<: *base, name: deepfm, model: deepfm}
"""
MERGED_LIST = """
  - &fnn {name: fnn, model: fnn, mlp: &mlp {hidden: [8, 4]}}
  - {<<: [{init_from: fm}, *fnn], name: deepfm, model: deepfm}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "train.yaml"
    path.write_text(text)
    return path


def test_one_stage_of_the_demo_is_changed_and_the_one_that_shares_its_values_is_not():
    before = {stage.name: stage for stage in load(TrainConfig, DEMO).stages}
    after = {stage.name: stage for stage in load(TrainConfig, DEMO, ["stages.fnn.embedding.learning_rate=0.5"]).stages}
    assert (before["fnn"].embedding.learning_rate, after["fnn"].embedding.learning_rate) == (0.1, 0.5)
    assert after["deepfm"] == before["deepfm"]
    assert after["fm"] == before["fm"]


@pytest.mark.parametrize("stages", [SHARED_MAPPING, SHARED_LIST, MERGED, MERGED_LIST])
@pytest.mark.parametrize(("changed", "other"), [("fnn", "deepfm"), ("deepfm", "fnn")])
def test_an_element_of_a_list_that_two_stages_share_is_changed_in_one(tmp_path, stages, changed, other):
    config = load(TrainConfig, written(tmp_path, HEAD + stages), [f"stages.{changed}.mlp.hidden.0=32"])
    hidden = {stage.name: stage.mlp.hidden for stage in config.stages}
    assert hidden == {"fm": (300, 100), changed: (32, 4), other: (8, 4)}


def test_what_an_overrides_own_value_repeats_is_not_shared_either(tmp_path):
    path = written(tmp_path, HEAD + SHARED_MAPPING)
    both = "stages.fnn.control={embedding: &e {clip: {ratio: 2}}, optimizer: {}}"
    twice = "night.gate={slices: &s [user], calibration: [0.5, 2]}"
    config = load(TrainConfig, path, [both, twice, "stages.fnn.control.embedding.clip.ratio=3"])
    assert config.stages[1].control.embedding.clip.ratio == 3
    assert config.stages[2].control.embedding is None
    pair = load(TrainConfig, path, ["stages=[&a {name: a, model: dnn}, {<<: *a, name: b}]", "stages.a.epochs=2"])
    assert [stage.epochs for stage in pair.stages] == [2, 1]


def test_no_two_places_of_a_tree_share_an_object(tmp_path):
    text = "a: &a {b: &b [1, {c: 2}], d: *b}\ne: *a\nf: [*a, *b]\ng: {<<: *a}\nh: {<<: [*a, {i: *b}]}\n"
    tree = read_yaml(written(tmp_path, text))
    assert tree == yaml.safe_load(text)
    seen: list[object] = []

    def walk(value: object) -> None:
        if isinstance(value, dict | list):
            seen.append(value)
            for part in value.values() if isinstance(value, dict) else value:
                walk(part)

    walk(tree)
    # Twice a [] and a {} in each of a, e and f's first; g and h have what a has; i adds one [] and its {}.
    assert len({id(value) for value in seen}) == len(seen)


def test_the_trials_of_one_stage_leave_the_stage_that_shares_its_values_as_it_was():
    sweep = SweepConfig.model_validate(
        {
            "stage": "fnn",
            "space": {
                "stages.fnn.embedding.learning_rate": {"uniform": [0.2, 0.3]},
                "stages.fnn.optimizer.learning_rate": {"uniform": [0.01, 0.02]},
                "stages.fnn.mlp.hidden.0": {"integer": [10, 20]},
            },
            "trials": 4,
        }
    )
    before = load(TrainConfig, DEMO)
    trials = draw_trials(sweep, DEMO, ["data.validation_share=0.05"], "sweep.yaml")
    assert len(trials) == 4
    for trial in trials:
        _, fnn, deepfm = trial.config.stages
        assert deepfm == before.stages[2]
        assert 0.2 <= fnn.embedding.learning_rate <= 0.3
        assert fnn.mlp.hidden == (trial.values["stages.fnn.mlp.hidden.0"], 100)


def test_an_element_goes_by_its_name_before_its_position_and_whatever_stands_beside_it(tmp_path):
    digits = "  - {name: '0', model: dnn}\n"
    config = load(TrainConfig, written(tmp_path, HEAD + digits), ["stages.0.epochs=2"])
    assert [stage.epochs for stage in config.stages] == [1, 2]
    path = written(tmp_path, HEAD + "  - null\n  - {name: fnn, model: fnn}\n")
    config = load(TrainConfig, path, ["stages.fnn.epochs=3", "stages.1.name=dnn", "stages.1.model=dnn"])
    assert [(stage.name, stage.epochs) for stage in config.stages] == [("fm", 1), ("dnn", 1), ("fnn", 3)]


@pytest.mark.parametrize(
    ("override", "found"),
    [
        ("data.split.test_dates=[2026-02-30]", "'2026-02-30', which is no timestamp: day is out of range for month"),
        ("seed={", "expected the node content"),
        ("seed=[1", "expected ',' or ']'"),
        ("seed=\t1", "cannot start any token"),
        ("seed=!!python/object:x", "could not determine a constructor"),
        ("seed=!!int x", "'x', which is no int"),
        ("seed=!!bool x", "'x', which is no bool"),
        ("seed=!!timestamp x", "'x', which is no timestamp"),
        ("seed=" + "1" * 5000, "which is no int"),
        ("seed=0x" + "f" * 5000, "a whole number of 20,000 bits"),
        ("stages.fm.epochs=" + "9" * 309, "a whole number of 1,027 bits"),
        ("seed=&a [*a]", "alias *a inside what it repeats"),
        ("seed=&a {b: *a}", "alias *a inside what it repeats"),
        ("seed={<<: &a {<<: *a}}", "alias *a inside what it repeats"),
        ("seed=*a", "found undefined alias 'a'"),
        ("seed=" + "[" * 5000 + "]" * 5000, "more than 32 deep"),
        ("seed={? [a] : 1}", "a list as a key"),
        ("seed={? {a: 1} : 1}", "a dict as a key"),
        ("seed=\0", "the character '\\x00'"),
        ("seed=\udcff", "the character '\\udcff'"),
        (r'work_uri="\uD800"', "surrogates not allowed"),
        (r'work_uri="\UFFFFFFFF"', "what YAML cannot read: Python int too large"),
        ("stages.².epochs=1", "'²'"),
        ("stages.99999999999.epochs=1", "'99999999999'"),
        ("stages." + "9" * 5000 + ".epochs=1", "9999"),
        ("stages.-1.epochs=1", "'-1'"),
        ("stages.epochs=1", "'epochs'"),
        ("seed.x=1", "'seed' holds 7, which has no keys"),
        ("work_uri.x=1", "'work_uri' holds '/work', which has no keys"),
        ("stages.fm.model.x=1", "'model' holds 'fm', which has no keys"),
        ("stages.fnn.mlp.hidden.0.x=1", "'0' holds 8, which has no keys"),
        ("stages.fnn.mlp.hidden.x=1", "'x'"),
    ],
)
def test_an_override_that_cannot_be_is_refused_by_its_own_text(tmp_path, override, found):
    path = written(tmp_path, HEAD + SHARED_MAPPING + "seed: 7\nwork_uri: /work\n")
    with pytest.raises(Refusal) as refusal:
        load(TrainConfig, path, [override])
    assert found in refusal.value.found
    assert refusal.value.where.startswith("--set ")
    assert override.partition("=")[0] in refusal.value.where
    assert refusal.value.expected
    assert refusal.value.remedy


@pytest.mark.parametrize(
    "override",
    ["", "=", "=1", "seed", ".=1", ".seed=1", "seed.=1", "a..b=1", "stages..epochs=1", "se\0ed=1", "a." * 200 + "b=1"],
)
def test_an_override_without_a_key_at_each_place_is_refused(tmp_path, override):
    with pytest.raises(Refusal, match=r"a\.b=c") as refusal:
        load(TrainConfig, written(tmp_path, HEAD), [override])
    assert refusal.value.found == repr(override)
    assert refusal.value.where == "--set"


@pytest.mark.parametrize(
    ("override", "found", "expected", "key"),
    [
        ("data.split=date", "'date'", "a mapping", "data.split"),
        ("data.split=7", "7", "a mapping", "data.split"),
        ("data.split=[date]", "['date']", "a mapping", "data.split"),
        ("data.split={by: day}", "by: day", "'date', 'random'", "data.split"),
        ("data=logs", "'logs'", "a mapping", "data"),
        ("table=null", "None", "a mapping", "table"),
        ("stages.fm=x", "'x'", "a mapping", "stages.0"),
        ("stages=x", "'x'", "tuple", "stages"),
        ("seed=.inf", "inf", "finite", "seed"),
        ("seed=.nan", "nan", "finite", "seed"),
        ("stages.fm.epochs=.inf", "inf", "finite", "stages.0.epochs"),
        ("stages.fm.epochs=.nan", "nan", "finite", "stages.0.epochs"),
        ("stages.fm.epochs=inf", "'inf'", "finite", "stages.0.epochs"),
        ("night.quality.max_psi=1e999", "'1e999'", "finite", "night.quality.max_psi"),
        ("night.gate.calibration=[0.5, .inf]", "inf", "finite", "night.gate.calibration.1"),
        ("seed=18446744073709551616", "18446744073709551616", "less than", "seed"),
    ],
)
def test_a_value_of_another_kind_is_refused_at_its_key(tmp_path, override, found, expected, key):
    path = written(tmp_path, HEAD + SHARED_MAPPING)
    with pytest.raises(Refusal) as refusal:
        load(TrainConfig, path, [override])
    assert refusal.value.found.startswith(found)
    assert expected in refusal.value.expected
    assert refusal.value.where == f"{path}: {key}"


def test_a_key_that_holds_nothing_yet_is_filled(tmp_path):
    path = written(tmp_path, HEAD + "table:\n")
    assert load(TrainConfig, path, ["table.dimension=3", "night.gate.max_ne=2"]).table.dimension == 3


OF_KINDS = """
data:
  logs_uri: logs
  features:
    label: click
    fields: [{name: user, kind: categorical, encoder: {type: hash, num_buckets: 8}}, {name: age, kind: numeric}]
  split: {by: random, row_key: user, test_share: 0.3}
stages:
  - {name: fm, model: fm, schedule: {type: step, every_steps: 100, factor: 0.7}, days: {before: [deepfm]}}
  - {name: deepfm, model: deepfm, init_from: fm, days: {last: 3}}
  - {name: fnn, model: fnn, days: all}
cluster: {num_workers: 1}
"""


@pytest.mark.parametrize(
    ("overrides", "place", "left"),
    [
        (["data.split.by=date"], "data.split", {"by": "date"}),
        (["stages.fm.schedule.type=linear"], "stages.0.schedule", {"type": "linear"}),
        (
            ["stages.fm.schedule.type=exponential", "stages.fm.schedule.over_steps=9"],
            "stages.0.schedule",
            {"type": "exponential", "factor": 0.7, "over_steps": 9},
        ),
        (
            ["data.features.fields.user.encoder.type=vocabulary"],
            "data.features.fields.0",
            {"name": "user", "kind": "categorical", "encoder": {"type": "vocabulary"}},
        ),
        (
            ["data.split.by=date", "data.features.fields.user.kind=multi_valued"],
            "data.features.fields.0",
            {"name": "user", "kind": "multi_valued", "encoder": {"type": "hash", "num_buckets": 8}},
        ),
        (["data.features.fields.user.kind=numeric"], "data.features.fields.0", {"name": "user", "kind": "numeric"}),
        (["stages.fm.days.last=9"], "stages.0.days", {"last": 9}),
        (["stages.fnn.days.last=2"], "stages.2.days", {"last": 2}),
        (["cluster.num_workers.min=1", "cluster.num_workers.max=2"], "cluster.num_workers", {"min": 1, "max": 2}),
        (["data.split.by=random"], "data.split", {"by": "random", "row_key": "user", "test_share": 0.3}),
    ],
)
def test_an_override_that_chooses_another_kind_replaces_the_rest_and_leaves_what_both_share(
    tmp_path, overrides, place, left
):
    config = load(TrainConfig, written(tmp_path, OF_KINDS), overrides)
    value: Any = config
    for part in place.split("."):
        value = value[int(part)] if part.isdigit() else getattr(value, part)
    given = value.model_dump(mode="json", exclude_unset=True)
    assert given == left


@pytest.mark.parametrize(
    ("overrides", "unknown"),
    [
        (["data.split.row_key=user", "data.split.by=date"], "row_key"),
        (["data.split.by=date", "data.split.row_key=user"], "row_key"),
        (["data.split.bye=date"], "bye"),
        (["stages.fm.schedule.tpye=linear"], "tpye"),
    ],
)
def test_what_was_typed_itself_or_is_of_no_kind_is_still_refused(tmp_path, overrides, unknown):
    with pytest.raises(Refusal, match=f"unknown key '{unknown}'"):
        load(TrainConfig, written(tmp_path, OF_KINDS), overrides)


@pytest.mark.parametrize(
    ("overrides", "found", "where"),
    [
        (["stages.fm.early_stop={}"], "stage 'fm' with early_stop needs validation rows", "data.validation_share"),
        (["calibration=platt"], "calibration 'platt' needs validation rows", "data.validation_share"),
        (["stages.fnn.name=fm"], "two stages are named 'fm'", "stages.fm"),
        (["stages.fnn.init_from=none"], "'none', which is no earlier stage", "stages.fnn.init_from"),
        (["control=true", "stages.fnn.name=deepfm-control"], "adds a stage 'deepfm-control'", "stages.deepfm-control"),
        (["stages.fnn.control_of=other"], "the control of 'other'", "stages.fnn.control_of"),
        (["stages.fnn.days=affordable"], "'fnn' on affordable days", "stages.fnn.days"),
        (["night.gate.slices=[site]"], "'site', which is no column", "night.gate.slices"),
        (["night.gate.calibration=[2, 1]"], "[2, 1], of which the first", "night.gate.calibration"),
        (["cluster.num_workers=3"], "4096 does not divide among 3 workers", "stages.fm.batch_size"),
        (["cluster.num_workers={min: 4, max: 2}"], "{min: 4, max: 2}", "cluster.num_workers"),
        (["cluster.num_workers=0", "cluster.use_gpu=true"], "num_workers is 0", "cluster.num_workers"),
        (["data.split.row_key=call"], "'call', which is no column", "data.split.row_key"),
        (
            ["data.split={validation_dates: [2026-11-02]}", "data.validation_share=0.1"],
            "validation_share 0.1, and split.validation_dates 2026-11-02",
            "data.validation_share",
        ),
        (["data.split={train_from: 2026-11-03, train_to: 2026-11-02}"], "{train_from: 2026-11-03, ", "data.split"),
        (["data.features.weight=click"], "'click', which is the label", "data.features.weight"),
        (["data.features.ignored=[age]"], "more than one role: age", "data.features.fields"),
        (["stages.fnn.days={last: 1, before: fm}"], "{last: 1, before: fm}", "stages.2.days"),
        (["stages.fnn.mlp={rbm: {}, batch_norm: true}"], "{rbm: {}, batch_norm: True}", "stages.2.mlp"),
        (["stages.fnn.embedding={learning_rate: 2, weight_decay: 1}"], "{learning_rate: 2, ", "stages.2.embedding"),
        (["seed={a: 1}"], "{a: 1}", "seed"),
        (["table.dimension={}"], "no keys", "table.dimension"),
    ],
)
def test_keys_that_do_not_go_together_are_refused_by_their_names_and_values(tmp_path, overrides, found, where):
    path = written(tmp_path, OF_KINDS)
    with pytest.raises(Refusal) as refusal:
        load(TrainConfig, path, overrides)
    assert found in refusal.value.found
    assert refusal.value.where.startswith(f"{path}: {where}")


def test_an_override_of_a_key_in_the_file_of_features_is_refused_as_one(tmp_path):
    path = written(tmp_path, HEAD.replace("{label: click, fields: [{name: user, kind: categorical}]}", "features.yaml"))
    with pytest.raises(Refusal, match="it is the path of a file: change the key there"):
        load(TrainConfig, path, ["data.features.label=clicked"])
