from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import random_bundles

from schemas.config import TrainConfig


@pytest.fixture(scope="session")
def random_log() -> Callable[[int, int], pa.Table]:
    return random_bundles.random_log


@pytest.fixture(scope="session")
def config() -> TrainConfig:
    return random_bundles.config_of_all_kinds()


@pytest.fixture(scope="session")
def bundle_folder(config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    state = random_bundles.random_state(config)
    return random_bundles.write_bundle_of(state, config, tmp_path_factory.mktemp("bundles"))
