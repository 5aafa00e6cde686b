from pathlib import Path

import pytest
from sweep_folder import write_config


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the config, and a sweep of it."""
    return write_config(tmp_path)
