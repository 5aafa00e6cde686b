"""A log of six days, and configs of nights on it."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

from bundles import STAGES
from click_logs import SPEC, click_rows, write_day

from schemas.config import TrainConfig

DAYS = [date(2026, 10, 30) + timedelta(day) for day in range(6)]


def write_log(logs: Path) -> Path:
    """30 October to 4 November, eight rows a day."""
    for day in DAYS:
        write_day(logs, day, click_rows())
    return logs


def config_of(logs: Path, night: dict[str, Any] | None = None, **changes: Any) -> TrainConfig:
    data = {"logs_uri": str(logs), "features": SPEC}
    settings = {"data": data, "stages": STAGES, "table": {"dimension": 4}, "night": night or {}}
    return TrainConfig.model_validate(settings | changes)
