"""What Ray Train has kept of an interrupted job: its record of checkpoints, and the newest of them.

Ray itself takes up what it finds, and fails on each attempt where that is damaged.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, model_validator

from pipeline.runtime import files, trusted
from pipeline.runtime.trusted import Damaged
from pipeline.training import kept

SNAPSHOT = "checkpoint_manager_snapshot.json"
CHECKPOINT = "checkpoint_"  # and when it was made
FAILURES = "failures.json"


class _Result(BaseModel):
    checkpoint_dir_name: str
    metrics: dict[str, Any]


class _Snapshot(BaseModel):
    """As much as Ray needs of it."""

    ray_version: str
    checkpoint_results: list[_Result]
    checkpoint_report_indices: list[int]
    latest_checkpoint_result: _Result | None
    pending_training_results: list[_Result]
    pending_validation_specs: list[Any]
    current_report_index: int
    validated_checkpoint_dir_names: list[str]
    timed_out_validation_checkpoint_dir_names: list[str]
    failed_validation_checkpoint_dir_names: list[str]

    @model_validator(mode="after")
    def _each_has_an_index(self) -> "_Snapshot":
        if len(self.checkpoint_results) != len(self.checkpoint_report_indices):
            raise ValueError("as many indices as checkpoints")
        return self

    @property
    def checkpoints(self) -> set[str]:
        results = [*self.checkpoint_results, *filter(None, [self.latest_checkpoint_result])]
        return {result.checkpoint_dir_name for result in results}


def drop_damaged(run_uri: str) -> None:
    """Let training begin anew, but for its published stages, where it could not go on from the last checkpoint."""
    uri = f"{run_uri}/{SNAPSHOT}"
    if not files.exists(uri):
        return
    try:
        snapshot = trusted.read(uri, lambda content: _Snapshot.model_validate(json.loads(content)))
        for name in sorted(snapshot.checkpoints):
            kept.check_checkpoint(f"{run_uri}/{name}")
            failures_of(f"{run_uri}/{name}")
    except Damaged as damaged:
        trusted.drop(uri, damaged)
        for name in files.folders(run_uri):
            if name.startswith(CHECKPOINT):
                files.remove(f"{run_uri}/{name}")


def keep_failures(failures: Mapping[str, str], folder: Path) -> None:
    """Write, into a checkpoint, which stages before it could not be trained, and why.

    Tried again, one of them might leave a checkpoint of its own in this one's place before it fails.
    """
    trusted.write(str(folder / FAILURES), {"failures": failures})


def failures_of(checkpoint_uri: str) -> dict[str, str]:
    """Stage -> why. Raises Damaged."""
    return trusted.read(f"{checkpoint_uri}/{FAILURES}", _parse_failures)


def _parse_failures(content: bytes) -> dict[str, str]:
    return TypeAdapter(dict[str, str]).validate_python(trusted.unsealed(content)["failures"])
