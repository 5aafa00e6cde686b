"""Whatever the file and the overrides say, loading gives a config or a Refusal: never a traceback."""

import re
import tempfile
from pathlib import Path

import pytest
import yaml
from examples import several
from hypothesis import given
from hypothesis import strategies as st

from schemas.config import TrainConfig
from schemas.errors import Refusal
from schemas.loading import load
from schemas.sweep import SweepConfig, draw_trials

pytestmark = pytest.mark.slow

CONFIGS = Path(__file__).parents[2] / "jobs" / "configs"

TEXTS = {path.name: path.read_text() for path in sorted(CONFIGS.glob("*.yaml"))}
TRAIN = [name for name, text in TEXTS.items() if "train_config.json" in text]
FEATURES = [name for name, text in TEXTS.items() if "feature_spec.json" in text]


def _keys_of(value: object, prefix: tuple[str, ...] = ()) -> set[str]:
    """The dotted keys of a tree, those of lists by position and by name."""
    if isinstance(value, dict):
        parts = [(str(key), child) for key, child in value.items()]
    elif isinstance(value, list):
        parts = [(str(position), child) for position, child in enumerate(value)]
        parts += [(child["name"], child) for child in value if isinstance(child, dict) and "name" in child]
    else:
        parts = []
    keys = {".".join((*prefix, part)) for part, _ in parts}
    return keys.union(*(_keys_of(child, (*prefix, part)) for part, child in parts))


def _keys_of_models() -> set[str]:
    """Every key that a config may have, most of which no shipped config has."""
    whole = load(TrainConfig, CONFIGS / "demo.yaml").model_dump(mode="json")
    return _keys_of(whole)


KEYS = sorted(_keys_of_models() | {key for name in TRAIN for key in _keys_of(yaml.safe_load(TEXTS[name]))})
# What YAML, PyYAML, Python or pydantic has a meaning of its own for.
SNAGS = [
    *["", "null", "~", "true", "2026-02-30", "2026-02-28", "2026-01-01T25:00:00", "0001-01-01T00:00:00+23:59", ".inf"],
    *[
        "-.inf",
        ".nan",
        "inf",
        "nan",
        "1e999",
        "-1",
        "0",
        "0x" + "f" * 999,
        "9" * 400,
        "9" * 5000,
        "0b",
        "0o8",
        "1:99:99",
    ],
    *["{", "}", "[", "]", "[1", "{a", "{a: 1}", "{name: fm}", "[fm]", "[[1]]", "[null]", "{? [a] : 1}", "{1: 2}"],
    *["{null: 1}", "{2026-01-01: 1}", "{.nan: 1}", "{b: {by: date}}", "{by: random}", "{by: [date]}", "{type: x}"],
    *["&a [*a]", "&a {a: *a}", "*a", "&a x", "{<<: {a: 1}}", "{<<: [1]}", "{<<: x}", "<<", "=", "{=: 1}", "!!int x"],
    *["!!int ''", "!!float x", "!!bool x", "!!null x", "!!timestamp x", "!!binary x", "!!binary aGk=", "!!set {a, b}"],
    *[
        "!!omap [a: 1]",
        "!!pairs [a: 1]",
        "!!str [a]",
        "!!map [a]",
        "!!map a",
        "!!set [a]",
        "!!omap {a: 1}",
        "!!omap [a]",
        "!!seq {a: 1}",
        "!!merge a",
        "!!value a",
        "!x a",
    ],
    *["!!python/object:x", "!!python/tuple [1]", "%YAML 1.1\n--- a", "%YAML 9.9\n--- a", "%YAML " + "1" * 5000 + ".1"],
    *[
        "%TAG ! %zz",
        "!%zz a",
        "!%ff a",
        '"\\uD800"',
        '"\\UFFFFFFFF"',
        '"\\0"',
        '"\\x"',
        "\t",
        "\0",
        "\ufeff",
        "\ufeff1",
    ],
    *[
        "\x85",
        "\u2028",
        "²",
        "٣",
        "1_0",
        "0_",
        "_",
        "-",
        "- ",
        "--- ",
        "...",
        "? ",
        ": ",
        ", ",
        "# ",
        "| ",
        "> ",
        "|9\n a",
    ],
    *["@", "`", "'", '"', "&", "*", "!", "!!", "%", "[" * 300, "{a: " * 300, "[" * 30 + "]" * 30, "- " * 300],
    *[
        "{? " * 28 + "}" * 28,
        "{<<: " * 28 + "{}" + "}" * 28,
        "{<<: {a: 1, a: 2}}",
        "[" * 32,
        "{a: " * 28 + "1" + "}" * 28,
    ],
    *[
        "synthetic_features.yaml",
        "demo.yaml",
        ".",
        "..",
        "/",
        "nowhere.yaml",
        "a\0b",
        "x" * 5000,
        "fm",
        "deepfm",
        "date",
    ],
]
values = st.sampled_from(SNAGS) | st.text(max_size=20)
parts = st.sampled_from(["", "²", "0", "1", "99", "-1", "00", "9" * 5000, "fm", "fnn", "stages", "data", "by", "a"])
keys = st.sampled_from(KEYS) | st.lists(parts | st.text(max_size=5), max_size=6).map(".".join)
longer_keys = st.builds(lambda key, part: f"{key}.{part}", keys, parts)
sets = st.builds(lambda key, value: f"{key}={value}", keys | longer_keys, values)
overrides = st.lists(sets | st.text(max_size=20) | st.text(st.characters(), max_size=20), max_size=4)


@st.composite
def mutated(draw: st.DrawFn, names: list[str]) -> bytes:
    """A shipped config with pieces cut out, doubled, or replaced by what YAML has a meaning of its own for."""
    text = TEXTS[draw(st.sampled_from(names))]
    # Not within the comments on top, where nothing could change.
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#")) + "\n"
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.sampled_from([0, 0, 1, 1, 3, 10, 50])))
        piece = draw(values | st.just("") | st.just(text[start:end] * 2) | st.sampled_from(["\n", "\n  ", ": ", "- "]))
        if draw(st.booleans()):  # a whole value rather than any place
            after_colon = text.find(": ", start)
            if after_colon >= 0:
                start = after_colon + 2
                end = start + re.match(r"[^\n,}]*", text[start:]).end()
        text = text[:start] + piece + text[end:]
    return text.encode("utf-8", "surrogatepass")


trees = st.recursive(
    values.map(lambda text: text[:50]) | st.integers() | st.floats() | st.none() | st.booleans() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS + SNAGS[:60]), inner, max_size=3),
    max_leaves=12,
)


@st.composite
def replaced(draw: st.DrawFn) -> bytes:
    """A shipped config in which some key holds any tree."""
    tree = yaml.safe_load(TEXTS[draw(st.sampled_from(TRAIN))])
    for _ in range(draw(st.integers(1, 3))):
        node = tree
        while draw(st.integers(0, 3)) and isinstance(node, dict | list) and node:
            key = draw(st.sampled_from(sorted(node, key=str) if isinstance(node, dict) else range(len(node))))
            if not draw(st.integers(0, 2)) or not isinstance(node[key], dict | list):
                node[key] = draw(trees)
            node = node[key]
    return yaml.safe_dump(tree, allow_unicode=draw(st.booleans())).encode("utf-8", "surrogatepass")


texts = st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass"))
snags = st.lists(values | st.sampled_from(["\n", "a: ", "data: ", "stages: ", "- ", "  "]), max_size=8).map(
    lambda pieces: "".join(pieces).encode("utf-8", "surrogatepass")
)
files = mutated(TRAIN) | mutated(TRAIN) | replaced() | snags | texts | st.binary(max_size=40)


def check(content: bytes, overrides: list[str], features: bytes | None = None, sweep: bytes | None = None) -> None:
    """Load it all from a folder: what cannot be is refused with all that a refusal says, in text that prints."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "train.yaml"
        path.write_bytes(content)
        for feature_file in FEATURES:
            (path.parent / feature_file).write_bytes(TEXTS[feature_file].encode() if features is None else features)
        try:
            assert load(TrainConfig, path, overrides).plan
            if sweep is not None:
                draw_from(sweep, path, overrides)
            return
        except Refusal as refusal:
            said = (refusal.found, refusal.expected, refusal.where, refusal.remedy)
    assert all(said)
    "".join(said).encode()


def draw_from(sweep: bytes, path: Path, overrides: list[str]) -> None:
    sweep_path = path.parent / "sweep.yaml"
    sweep_path.write_bytes(sweep)
    draw_trials(load(SweepConfig, sweep_path).model_copy(update={"trials": 2}), path, overrides, "sweep.yaml")


@several()
@given(overrides)
def test_any_override_of_a_shipped_config(overrides):
    check(TEXTS["demo.yaml"].encode(), overrides)


@several()
@given(files, overrides | st.just([]))
def test_any_file(content, overrides):
    check(content, overrides)


@several()
@given(mutated(FEATURES) | texts | snags)
def test_any_feature_spec(features):
    check(TEXTS["demo.yaml"].encode(), [], features)


@several()
@given(mutated(["demo_sweep.yaml"]) | snags)
def test_any_sweep(sweep):
    check(TEXTS["demo.yaml"].encode(), ["data.validation_share=0.05"], sweep=sweep)
