"""Which code this is: what a new version makes is not what an old one made."""

import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def fingerprint() -> str:
    """Changes with the library's source; 16 hex digits."""
    sources = sorted(path for package in ("pipeline", "schemas") for path in (ROOT / package).rglob("*.py"))
    return digest(*(path.read_text(encoding="utf-8") for path in sources))


def digest(*texts: str) -> str:
    """What tells these texts, in their order, from others; 16 hex digits."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
