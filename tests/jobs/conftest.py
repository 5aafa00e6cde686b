import json
from pathlib import Path

import pytest
import yaml
from click_logs import SPEC
from session import Session


@pytest.fixture
def session(logs_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    config = {
        "work_uri": str(tmp_path / "work"),
        "data": {"logs_uri": logs_uri, "features": "features.yaml"},
        "stages": [{"name": "fm", "model": "fm", "batch_size": 4}],
    }
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "features.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(SPEC))))
    return Session(tmp_path)
