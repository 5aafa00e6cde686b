"""The feature spec of a format whose columns are known, and a config that trains on what was imported, as it stands."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.intake.spec_text import plain
from pipeline.runtime import files

MANY_ROWS = 1_000_000  # from which on an id seen twice is one of too many to keep


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that are alike, and a word on them."""

    words: str
    names: Sequence[str]
    kind: str
    encoder: str = ""
    """With its `min_count` to be filled in."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What is known of a format's columns."""

    words: str
    label: str
    row_key: str
    row_key_words: str
    groups: Sequence[Group]


def write(name: str, spec: Spec, folder_uri: str, logs: str, rows: dict[str, int]) -> tuple[str, list[str]]:
    """Write `NAME.yaml` and `NAME_features.yaml` into the folder; the config, and the files that were there and stay.

    `logs` is what the config is to call the log; `rows` are those of each day that was imported.
    """
    config, features = f"{folder_uri}/{name}.yaml", f"{folder_uri}/{name}_features.yaml"
    stay = []
    for uri, text in ((features, _features(spec, rows)), (config, _config(name, spec, logs, rows))):
        if files.exists(uri):
            stay.append(uri)
        else:
            files.write_bytes(uri, text.encode())
    return config, stay


def _features(spec: Spec, rows: dict[str, int]) -> str:
    min_count = 10 if sum(rows.values()) >= MANY_ROWS else 2
    lines = [
        f"# {spec.words}",
        f"label: {spec.label} # 0 or 1, 1 is a click",
        f"row_key: {spec.row_key} # {spec.row_key_words}; carried into scored output",
        "fields:",
    ]
    for group in spec.groups:
        lines += [f"  # {line}" for line in group.words.split("\n")]
        encoder = f", encoder: {{{group.encoder.format(min_count=min_count)}}}" if group.encoder else ""
        lines += [f"  - {{name: {name}, kind: {group.kind}{encoder}}}" for name in group.names]
    return "\n".join(lines) + "\n"


def _config(name: str, spec: Spec, logs: str, rows: dict[str, int]) -> str:
    if len(rows) > 1:
        split = "split: {by: date} # the newest day is held out"
    else:
        split = f"split: {{by: random, row_key: {spec.row_key}}} # of several days, {{by: date}} holds out the newest"
    return f"""\
#   nightjar train --config {name}.yaml
data:
  logs_uri: {plain(logs)} # from this file, as all paths in it
  features: {name}_features.yaml
  {split}
table: {{dimension: 16}}
stages: # batch size, passes and L2 go by the rows that a stage learns from; `train` tells what they came to
  - {{name: fm, model: fm}}
  - {{name: deepfm, model: deepfm, init_from: fm, mlp: {{hidden: [300, 100]}}}}
cluster: {{num_workers: 0}} # in the command's own process; 1 or more are ranks of a job on Ray
mlflow: {{registered_model: {name}}}
"""
