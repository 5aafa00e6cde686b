"""Whatever becomes of a file that a run goes by: it is found out, and what is read is what was written."""

import io
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from bundles import bundle_logits, write_random_bundle
from click_logs import SPEC, click_rows, write_day
from damage import files_below
from examples import damages, several
from hypothesis import given
from hypothesis import strategies as st
from six_days import config_of

from pipeline.data import logs, store, vocabulary
from pipeline.data.encode import Encoder
from pipeline.data.encoded_days import EncodedDays
from pipeline.data.logs import Manifest
from pipeline.data.store import StoredPart
from pipeline.data.windows import local_windows
from pipeline.evaluation.metrics import Sums
from pipeline.nights import records
from pipeline.nights.records import Night
from pipeline.profiles import profiler
from pipeline.registry.bundle import Bundle, digest_of
from pipeline.runtime import files
from pipeline.runtime.lease import lease
from pipeline.scoring.day_folder import DayFolder
from pipeline.training import checkpoint, initialize, kept, published, results
from schemas.config import DataConfig, TrainConfig
from schemas.errors import Busy, Failure, Refusal
from schemas.features import FeatureSpec
from schemas.scores import DayScores

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

DAY = date(2026, 11, 1)
SPEC_READ = FeatureSpec.model_validate(SPEC)


@dataclass(frozen=True)
class Trusted:
    """A folder of files, and what is made of it by whoever goes by them; None: nothing, it is made anew."""

    folder: Path
    read: Callable[[Path], Any]
    """Of a copy of the folder. Raises Refusal, Failure or Busy."""


def of_bundle(folder: Path) -> Trusted:
    write_random_bundle(folder, click_rows())
    shutil.rmtree(folder / "stage")
    digest = digest_of(folder / "bundle")

    def read(copy: Path) -> Any:
        loaded = Bundle.load(copy / "bundle", digest)
        return bundle_logits(loaded, click_rows()).tolist(), loaded.contents.model_dump_json()

    return Trusted(folder, read)


def of_store(folder: Path) -> Trusted:
    vocab = vocabulary.build(SPEC_READ, vocabulary.count(click_rows(), SPEC_READ))
    rows = Encoder(vocab).encode(click_rows())
    uri = str(folder / "store")
    written = [store.write_part(uri, StoredPart(split, DAY, 0, 8, 2), rows) for split in ("train", "test")]
    store.write_vocabulary(uri, vocab)
    store.complete(uri, vocab.num_ids, written, vocab.fingerprint)

    def read(copy: Path) -> Any:
        opened = store.open_store(str(copy / "store"), SPEC_READ)
        if opened is None:
            return None
        windows = [
            one for split in ("train", "test") for one in local_windows(opened, split, len(SPEC_READ.fields), 0, 1)
        ]
        known = store.read_vocabulary(str(copy / "store"), SPEC_READ)
        return opened.num_ids, known.fingerprint, [(rows.ids.tolist(), rows.labels.tolist()) for rows in windows]

    return Trusted(folder, read)


def of_record(folder: Path) -> Trusted:
    def config(work: Path) -> TrainConfig:
        return config_of(folder / "logs", work_uri=str(work))

    night = Night(DAY, "0123456789abcdef", "kept", "in words", (DAY,), "warm", "run", "sqlite:///m.db", None)
    records.write(config(folder), replace(night, candidate={"ne": 0.9}, seconds={"train": 1.5}))

    def read(copy: Path) -> Any:
        found = records.all_of(config(copy))
        return found or None

    return Trusted(folder, read)


def of_log(folder: Path) -> tuple[DataConfig, Manifest]:
    write_day(folder, DAY, click_rows())
    data = DataConfig(logs_uri=str(folder), features=SPEC_READ)
    return data, logs.find(data, [DAY])


def of_profile(folder: Path) -> Trusted:
    data, manifest = of_log(folder.parent / "logs")
    known = vocabulary.build(SPEC_READ, vocabulary.count(click_rows().slice(0, 2), SPEC_READ))

    def read(copy: Path) -> Any:
        return [one.model_dump_json() for one in profiler.profile_days(manifest, data, str(copy), known)]

    read(folder)
    return Trusted(folder, read)


def of_encoded_days(folder: Path) -> Trusted:
    data, manifest = of_log(folder.parent / "logs")
    known = vocabulary.build(SPEC_READ, vocabulary.count(click_rows(), SPEC_READ))
    part = StoredPart("train", DAY, 0, 8, 2)
    files.write_bytes(f"{folder.parent}/home/{part.path}", b"what encoding has made")
    home = store.complete(str(folder.parent / "home"), known.num_ids, [part])
    EncodedDays(str(folder / "days"), data, 0).keep(home, manifest, known)

    def read(copy: Path) -> Any:
        return EncodedDays(str(copy / "days"), data, 0).find([DAY], manifest, known) or None

    return Trusted(folder, read)


def of_lease(folder: Path) -> Trusted:
    with lease(str(folder / "lease"), 60, "a night") as held:
        held.check()
        for file in (folder / "lease").iterdir():
            kept_as_held = file.read_bytes(), file
    kept_as_held[1].write_bytes(kept_as_held[0])

    def read(copy: Path) -> Any:
        with lease(str(copy / "lease"), 60, "another"):
            return None

    return Trusted(folder, read)


def of_published_stage(folder: Path) -> Trusted:
    config = config_of(folder / "logs", work_uri=str(folder))
    state = initialize.from_scratch(config.stages[1], config, 40)
    logits = np.linspace(-1, 1, 8, dtype=np.float32)
    labels = click_rows()["click"].to_numpy().astype(np.float32)
    sums = Sums.of(logits, labels).to_bytes()
    extra = {"logits-0-of-1.npz": npz(logits), published.HELD_OUT_SUMS: sums}
    published.put(state, extra, str(folder / "stages/deepfm"))
    published.publish(str(folder / "stages/deepfm"))

    def read(copy: Path) -> Any:
        if not kept.stage(str(copy / "stages/deepfm")):
            return None
        own = initialize.from_scratch(config.stages[1], config, 40)
        checkpoint.restore(own, copy / "stages/deepfm")
        uri = str(copy)
        return (
            own.table.rows.tolist(),
            {name: tensor.tolist() for name, tensor in own.model.state_dict().items()},
            results.progress(uri, "deepfm"),
            results.held_out_logits(uri, "deepfm").tolist(),
            results.held_out_sums(uri, "deepfm").to_bytes(),
        )

    return Trusted(folder, read)


def of_checkpoint(folder: Path) -> Trusted:
    config = config_of(folder / "logs", work_uri=str(folder))
    (folder / "checkpoint").mkdir()
    checkpoint.save(initialize.from_scratch(config.stages[1], config, 40), folder / "checkpoint")

    def read(copy: Path) -> Any:
        kept.check_checkpoint(str(copy / "checkpoint"))
        own = initialize.from_scratch(config.stages[1], config, 40)
        checkpoint.restore(own, copy / "checkpoint")
        layers = {name: tensor.tolist() for name, tensor in own.model.state_dict().items()}
        return own.table.rows.tolist(), layers, own.progress

    return Trusted(folder, read)


def npz(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **{"0": values})
    return buffer.getvalue()


def of_scores(folder: Path) -> Trusted:
    scores = DayScores(model_uri="models:/ctr/1", model_sha256="0" * 64, manifest="0" * 16, rows=8)

    def day_folder(out: Path) -> DayFolder:
        return DayFolder(str(out / "out"), DAY, scores, "key", 1)

    own = day_folder(folder)
    Path(own.waiting_uri).mkdir(parents=True)
    pq.write_table(click_rows().select(["row"]), f"{own.waiting_uri}/{own.part_name(0)}")
    own.publish({})

    def read(copy: Path) -> Any:
        return day_folder(copy).holds_scores(overwrite=False) or None

    return Trusted(folder, read)


MADE_BY = [
    of_bundle,
    of_store,
    of_record,
    of_profile,
    of_encoded_days,
    of_lease,
    of_checkpoint,
    of_published_stage,
    of_scores,
]


@pytest.fixture(scope="module", params=MADE_BY, ids=lambda made: made.__name__.removeprefix("of_"))
def trusted(request, tmp_path_factory) -> Trusted:
    folder = tmp_path_factory.mktemp("trusted") / "whole"
    folder.mkdir()
    made: Trusted = request.param(folder)
    return made


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
TREES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.text(max_size=5), SCALARS, max_size=2)


@st.composite
def rewritten(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """JSON in which some value is another or gone; what is no JSON becomes some."""
    tree, is_gone = draw(TREES), draw(st.booleans())
    steps = draw(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=4))

    def damage(content: bytes) -> bytes:
        try:
            found = json.loads(content)
        except ValueError:
            return json.dumps(tree).encode()
        _rewrite(found, steps, tree, is_gone)
        return json.dumps(found).encode()

    return damage


def _rewrite(node: Any, steps: list[float], tree: Any, is_gone: bool) -> None:
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else []
    if not len(keys):
        return
    key = keys[int(steps[0] * len(keys))]
    if len(steps) > 1 and isinstance(node[key], dict | list) and node[key]:
        _rewrite(node[key], steps[1:], tree, is_gone)
    elif is_gone:
        del node[key]
    else:
        node[key] = tree


@several()
@given(st.floats(0, 1, exclude_max=True), damages() | rewritten())
def test_any_damage_to_a_file_that_is_gone_by_is_found_out(trusted, place, damage):
    names = files_below(trusted.folder)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(trusted.folder, copy)
        path = copy / names[int(place * len(names))]
        path.write_bytes(damage(path.read_bytes()))
        found = read_or_words(trusted, copy)
    assert found is None or found == read_or_words(trusted, trusted.folder), path.name


def read_or_words(trusted: Trusted, folder: Path) -> Any:
    """None where it ends in words."""
    try:
        return trusted.read(folder)
    except (Refusal, Failure, Busy) as said:
        str(said).encode()
        return None
