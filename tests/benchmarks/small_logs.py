"""What batch size, passes and L2 by the rows of a log are worth, against those of a large one.

    python tests/benchmarks/small_logs.py --out small

FM and DeepFM from random rows on four days of synthetic logs, the fifth held out, under each of SETTINGS: NE.
"""

import argparse
from itertools import product
from pathlib import Path

import torch

from pipeline.data.store import Store
from pipeline.retrain.dataset import encoded_store, find_inputs
from pipeline.runtime import cluster, files
from pipeline.synthetic.log import generate
from pipeline.synthetic.presets import PresetName
from pipeline.training import local, results
from pipeline.training.rank import Rank
from schemas.checking import derived
from schemas.config import TrainConfig
from schemas.defaults import Defaults, by_rows
from schemas.loading import load

CONFIG = Path(__file__).parents[2] / "jobs/configs/study.yaml"
PRESETS: tuple[PresetName, ...] = ("ads", "apps")
NUM_DAYS, SEED = 4, 5
OF_A_LARGE_LOG = Defaults(4096, 1.0, 0.0)
COLUMNS = ("log", "rows", "batches, passes, L2", "FM, 4,096, 1, 0", "FM", "DeepFM, 4,096, 1, 0", "DeepFM")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, nargs="+", default=[8_000, 40_000, 200_000])
    told = parser.parse_args()
    torch.set_num_threads(1)
    print(f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|", sep="\n")
    for preset, num_rows in product(PRESETS, told.rows):
        config, store = prepared(preset, num_rows, told.out.absolute())
        own = by_rows(num_rows)
        nes = [
            ne_of(model, settings, config, store) for model in ("fm", "deepfm") for settings in (OF_A_LARGE_LOG, own)
        ]
        figures = [f"{own.batch_size:,}, {own.epochs:g}, {own.l2:.1e}", *(f"{ne:.4f}" for ne in nes)]
        print(f"| {' | '.join([preset, f'{num_rows:,}', *figures])} |", flush=True)


def prepared(preset: PresetName, num_rows: int, folder: Path) -> tuple[TrainConfig, Store]:
    logs = f"{folder}/logs-{preset}-{num_rows}"
    if not Path(logs, "truth.json").exists():
        generate(logs, days=NUM_DAYS + 1, rows_per_day=num_rows // NUM_DAYS, seed=SEED, preset=preset)
    sets = [f"data.logs_uri={logs}", f"work_uri={folder}/work", "control=false", "stages=[{name: fm, model: fm}]"]
    config = load(TrainConfig, CONFIG, sets)
    with cluster.connected(config.cluster):
        return config, encoded_store(config, find_inputs(config, lambda event: None), lambda event: None)


def ne_of(model: str, settings: Defaults, config: TrainConfig, store: Store) -> float:
    stage = {"name": "alone", "model": model, "batch_size": settings.batch_size, "epochs": settings.epochs}
    stage |= {"embedding": {"l2": settings.l2}, "mlp": {"hidden": [300, 100]}}
    own = derived(config, stages=(stage,))
    run_uri = f"{config.work_uri}/small"
    files.remove(run_uri)
    local.run_stage(Rank(own, store, run_uri), own.stages[0], lambda point: None)
    return results.progress(run_uri, "alone").results["ne"]


if __name__ == "__main__":
    main()
