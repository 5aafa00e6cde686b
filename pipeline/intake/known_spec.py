"""The feature spec of a format whose columns are known, as a file for people."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.intake.yaml_lines import comment, plain

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


def text(spec: Spec, total_rows: int) -> str:
    """The YAML; `total_rows` are those of the log, of which many let rare ids share one."""
    return "\n".join([*_lines(spec, min_count=10 if total_rows >= MANY_ROWS else 2), ""])


def _lines(spec: Spec, min_count: int) -> Iterator[str]:
    yield from comment(spec.words)
    yield f"label: {plain(spec.label)} # 0 or 1, 1 is a click"
    yield f"row_key: {plain(spec.row_key)} # {spec.row_key_words}; carried into what is scored"
    yield "fields:"
    for group in spec.groups:
        yield from comment(group.words, indent=2)
        encoder = f", encoder: {{{group.encoder.format(min_count=min_count)}}}" if group.encoder else ""
        yield from (f"  - {{name: {plain(name)}, kind: {group.kind}{encoder}}}" for name in group.names)
