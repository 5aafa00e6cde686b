"""A copy of the sources, to be changed."""

import shutil
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def copy_sources(target: Path) -> Path:
    for package in ("schemas", "pipeline", "jobs"):
        shutil.copytree(REPOSITORY / package, target / package, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def change(root: Path, path: str) -> None:
    """Of a file's text the end, without a change of what it does; a new file where there is none."""
    with (root / path).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
