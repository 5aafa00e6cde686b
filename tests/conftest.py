import os
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from click_logs import SPEC, click_rows, write_day

from schemas.features import FeatureSpec

# Ray 2.59 and later turn token authentication on for local clusters, which a second node could then not join.
os.environ.setdefault("RAY_AUTH_MODE", "disabled")


@pytest.fixture
def spec() -> FeatureSpec:
    return FeatureSpec.model_validate(SPEC)


@pytest.fixture
def rows() -> pa.Table:
    return click_rows()


@pytest.fixture
def logs_uri(tmp_path: Path) -> str:
    """Three days of eight rows."""
    for day in range(3):
        write_day(tmp_path / "logs", date(2026, 11, 1 + day), click_rows(8 * day))
    return str(tmp_path / "logs")
