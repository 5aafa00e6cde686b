"""What each import into a log came to, as the log keeps it: `_imports/<key>.json`."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.runtime import files
from schemas.errors import Refusal

FOLDER = "_imports"


@dataclass(frozen=True, slots=True)
class Record:
    """A finished import."""

    format: str
    files: list[str]
    rows: dict[str, int]
    """Of each day."""
    num_bad: int
    timezone: str | None = None
    """In which days begin at midnight, if a column of times has told them."""


def write(logs_uri: str, key: str, record: Record) -> None:
    files.write_bytes(_place(logs_uri, key), json.dumps(asdict(record), indent=1).encode())


def read(logs_uri: str, key: str) -> Record | None:
    """None where there is none, or one that cannot be read, of which nothing is known then."""
    return _read(_place(logs_uri, key)) if files.exists(_place(logs_uri, key)) else None


def timezone_of(logs_uri: str) -> str | None:
    """In which imports have let the log's days begin. Raises Refusal where they have not agreed."""
    folder = f"{logs_uri}/{FOLDER}"
    names = files.names(folder) if files.exists(folder) else []
    imports = [_read(f"{folder}/{name}") for name in names if name.endswith(".json")]
    found = sorted({record.timezone for record in imports if record and record.timezone})
    if len(found) > 1:
        raise Refusal(
            found=f"imports by the days of several timezones: {', '.join(found)}",
            expected="one, in which the log's days begin at midnight",
            where=logs_uri,
            remedy=f"say which: --timezone {found[0]}",
        )
    return found[0] if found else None


def _place(logs_uri: str, key: str) -> str:
    return f"{logs_uri}/{FOLDER}/{key}.json"


def _read(uri: str) -> Record | None:
    try:
        told: dict[str, Any] = json.loads(files.read_bytes(uri))
        return Record(**told)
    except (ValueError, TypeError):
        return None
