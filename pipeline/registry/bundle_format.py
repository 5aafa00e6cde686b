"""The number of a bundle's format: which one says what a model is, and how what earlier versions wrote is read.

Whatever the files of a bundle say anew gets another number: a key, a column, or what one of them means. An earlier
Nightjar then refuses it by its format, and takes none for damaged. What an earlier format can say is written in that
one. tests/registry/test_bundle_format.py holds the numbers against what is written.
"""

from typing import Any, Literal

from pipeline.data.vocabulary import Vocabulary

Format = Literal[3, 4]
NEWEST: Format = 4


def format_of(vocabulary: Vocabulary) -> Format:
    """3, of clicks alone and the fields of the start; 4, of labels of every objective and fields that joined later."""
    return 3 if vocabulary.spec.objective == "binary" and not vocabulary.joined else 4


def as_now(written: dict[str, Any]) -> dict[str, Any]:
    """A bundle.json of an earlier format as it is written now; of any other format, or of none, as it is."""
    if written.get("format_version") == 1:
        written = _of_format_1(written)
    if written.get("format_version") == 2:
        written = _of_format_2(written)
    return written


def _of_format_1(written: dict[str, Any]) -> dict[str, Any]:
    """In which a stage's `embedding` was called `rows`."""
    stage = written.get("stage")
    for part in (stage, stage.get("control") if isinstance(stage, dict) else None):
        if isinstance(part, dict) and "rows" in part:
            part["embedding"] = part.pop("rows")
    return {**written, "format_version": 2}


def _of_format_2(written: dict[str, Any]) -> dict[str, Any]:
    """In which a stage had `last_days`, or null for all."""
    stage = written.get("stage")
    if isinstance(stage, dict) and "last_days" in stage:
        last = stage.pop("last_days")
        stage["days"] = "all" if last is None else {"last": last}
    return {**written, "format_version": 3}
