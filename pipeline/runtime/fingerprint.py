"""Which code made a result: what a new version makes is not what an old one made.

Each result has the fingerprint of the sources that it depends on, and of no others, so that a change of what only looks
at it makes nothing anew. Whose sources they are says a constant beside the code that names the result.
"""

import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]  # whatever else is called `schemas` on the path of this process


def of_sources(*places: str) -> str:
    """Changes with the Python sources of these folders and files, named from ROOT; 16 hex digits."""
    return _of_sources(ROOT, places)


def sources(root: Path, places: tuple[str, ...]) -> list[Path]:
    """The Python files of these folders and files under `root`, each once, in an order that is always the same."""
    found: set[Path] = set()
    for place in places:
        path = root / place
        own = {path} if path.is_file() else set(path.rglob("*.py"))
        assert own, f"{place} has no sources"
        found |= own
    return sorted(found)


def digest(*texts: str) -> str:
    """What tells these texts, in their order, from others; 16 hex digits."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


@cache
def _of_sources(root: Path, places: tuple[str, ...]) -> str:
    files = sources(root, places)
    names = [file.relative_to(root).as_posix() for file in files]
    return digest(*names, *(file.read_text(encoding="utf-8") for file in files))
