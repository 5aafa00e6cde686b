"""The page jobs/serving.md is run as it stands there, by ONNX Runtime for Python and Node, on columns of the demo."""

import hashlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from command import nightjar
from exported import bundle_of

from pipeline.registry import bundle
from pipeline.registry.bundle import Bundle
from pipeline.registry.weights import ACCUMULATORS, MODEL, ROWS
from pipeline.synthetic import log

pytestmark = pytest.mark.slow
JOBS = Path(__file__).parents[2] / "jobs"
BLOCK = re.compile(r"^```\w+\n(?:#|//) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ nightjar (.+)$", re.MULTILINE)
NODE = Path(__file__).with_name("node")
INSTALL_SECONDS = 240
ROWS_SENT = [
    {"user_id": 4, "item_id": "item0", "hour": 15, "interests": ["auto/buy", "auto/rent"], "price": 13.4},
    {"user_id": 99999999, "site_id": "site 🚀", "interests": [], "user_ctr": 0.07},
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle]:
    """A folder in which the page's commands have been given, on a model of the demo's fields."""
    folder = tmp_path_factory.mktemp("served")
    log.generate(str(folder / "logs"), 1, 2000, seed=7)
    rows = pq.read_table(next((folder / "logs").glob("date=*")), partitioning=None)
    fields = yaml.safe_load((JOBS / "configs/synthetic_features.yaml").read_text())["fields"]
    made = bundle_of({"model": "deepfm", "mlp": {"hidden": [30, 10]}}, fields, rows)
    tensors = {ROWS: made.table.rows, ACCUMULATORS: made.table.accumulators}
    tensors |= {MODEL + name: values for name, values in made.model.state_dict().items()}
    bundle.write_parts(folder / "champion", made.contents, made.vocabulary, tensors)
    for line in COMMAND.findall((JOBS / "serving.md").read_text()):
        words = ["champion" if word == "models:/ctr@champion" else word for word in shlex.split(line)]
        done = nightjar(*words, cwd=folder)
        assert done.exit_code == 0, done.stderr
    for name, content in BLOCK.findall((JOBS / "serving.md").read_text()):
        (folder / name).write_text(content)
    return folder, made


@pytest.fixture(scope="module")
def node_modules(request: pytest.FixtureRequest) -> Path:
    """ONNX Runtime for Node, installed once for each lock file into pytest's cache."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("there is no node, or no npm, on this machine")
    lock = (NODE / "package-lock.json").read_bytes()
    folder = Path(request.config.cache.mkdir(f"node-{hashlib.sha256(lock).hexdigest()[:12]}"))
    installed = folder / "node_modules"
    if not (installed / ".package-lock.json").exists():  # which npm writes last
        for name in ("package.json", "package-lock.json"):
            shutil.copy(NODE / name, folder)
        # Its script would fetch what runs on NVIDIA's cards.
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        if done.returncode:
            pytest.skip(f"npm could not install ONNX Runtime for Node: {done.stderr.strip().splitlines()[-1]}")
    return installed


def expected(made: Bundle) -> list[float]:
    columns = {}
    for field in made.spec.fields:
        values = [row.get(field.name) for row in ROWS_SENT]
        if field.kind != "numeric":
            values = [str(value) if isinstance(value, int) else value for value in values]
        columns[field.name] = pa.array(values, None if any(value is not None for value in values) else pa.string())
    numbers = [field.name for field in made.spec.fields if field.kind == "numeric"]
    columns |= {name: columns[name].cast(pa.float64()) for name in numbers}
    return made.probabilities(pa.table(columns)).tolist()


def printed(command: list[str], folder: Path) -> list[float]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[float] = json.loads(done.stdout)
    return found


def test_the_page_of_serving_is_right_for_python(served):
    folder, made = served
    assert np.abs(np.subtract(printed([sys.executable, "score.py"], folder), expected(made))).max() < 2e-6


@pytest.mark.timeout(300)
def test_the_page_of_serving_is_right_for_another_language(served, node_modules):
    folder, made = served
    (folder / "node_modules").symlink_to(node_modules)
    found = printed(["node", "score.mjs"], folder)
    assert found == printed([sys.executable, "score.py"], folder)
    assert np.abs(np.subtract(found, expected(made))).max() < 2e-6


def test_the_page_finds_the_values_whose_rows_point_the_same_way(served):
    folder, made = served
    command = [sys.executable, "neighbours.py"]
    first, *others = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.split()
    assert (first, len(others)) == ("item0", 5)
    values = made.vocabulary.values
    items = dict(zip(values["value"].to_pylist(), made.vocabulary.value_ids, strict=True))
    is_item = dict(zip(values["value"].to_pylist(), values["field"].to_pylist(), strict=True))
    v = {name: made.table.rows[row, 1:].numpy() for name, row in items.items() if is_item[name] == "item_id"}

    def likeness(name: str) -> float:
        return float(v[name] @ v["item0"] / np.linalg.norm(v[name]))

    assert set(others) == set(sorted(v, key=likeness, reverse=True)[1:6])


def test_the_example_beside_a_file_is_what_the_bundle_says(served):
    folder, made = served
    card = json.loads((folder / "served/model.json").read_text())
    assert card["files"] == {"model.onnx": (folder / "served/model.onnx").stat().st_size}
    assert {path.name for path in (folder / "served").iterdir()} == {"model.onnx", "model.json"}
    columns = {}
    for field in made.spec.fields:
        values, lengths = card["example"]["inputs"][field.name], card["example"]["inputs"].get(f"{field.name}_lengths")
        if lengths:
            values = [value[:length] for value, length in zip(values, lengths, strict=True)]
        missing = card["missing"]["double" if field.kind == "numeric" else "string"]
        columns[field.name] = [None if value == missing else value for value in values]
    found = card["example"]["outputs"]["probability"]
    assert np.abs(made.probabilities(pa.table(columns)) - found).max() <= card["checked"]["allowed"]
    assert card["identity"] == made.contents.origin.identity


def test_the_files_inputs_are_those_that_its_description_names(served):
    folder, _ = served
    card = json.loads((folder / "served/model.json").read_text())
    session = onnxruntime.InferenceSession(folder / "served/model.onnx")
    assert [(one.name, one.type, one.shape) for one in session.get_inputs()] == [
        (one["name"], f"tensor({one['type']})", one["shape"]) for one in card["inputs"]
    ]
    [output] = session.get_outputs()
    given = {"name": output.name, "type": "float", "shape": output.shape, "columns": []}
    assert [given] == card["outputs"]
