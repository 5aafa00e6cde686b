"""`make clean` in a copy of the repository's Makefile, among what work leaves behind."""

import shutil
import subprocess
from pathlib import Path

MAKEFILE = Path(__file__).parents[1] / "Makefile"
MADE = [".venv", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".import_linter_cache", ".hypothesis", "build", "dist"]
MADE += ["nightjar.egg-info", "pipeline/__pycache__", "pipeline/data/__pycache__"]
KEPT = ["pipeline/data", ".nightjar/mlartifacts/code/__pycache__", "data/demo/logs", "data/__pycache__"]


def test_clean_removes_what_can_be_made_again_and_neither_the_champion_nor_the_logs(tmp_path):
    shutil.copy(MAKEFILE, tmp_path)
    files = {folder: tmp_path / folder / "file" for folder in [*MADE, *KEPT]}
    for file in files.values():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, capture_output=True, check=True)
    assert [folder for folder in MADE if files[folder].parent.exists()] == []
    assert [folder for folder in KEPT if not files[folder].exists()] == []
    subprocess.run(["make", "clean"], cwd=tmp_path, capture_output=True, check=True)
