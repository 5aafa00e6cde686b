"""Whether rows hold what can be learned, or judged by: labels that differ."""

from collections.abc import Sequence

from schemas.errors import Refusal


def check_classes(rows: int, positives: int, what: str, where: str) -> None:
    """Refuse a set of rows that holds no click, or nothing but clicks: no model can be trained or judged on it."""
    if rows == 0 or positives in (0, rows):
        raise Refusal(
            found=f"{rows:,} {what} rows, {positives:,} of them clicks",
            expected="both clicks and rows without a click",
            where=where,
            remedy="choose other dates or a larger share; check that late labels have arrived",
        )


def check_labels(rows: int, labels: Sequence[str], what: str, where: str) -> None:
    """The same of labels that are no clicks; `labels` are different ones, at most as many as there are."""
    if len(labels) < 2:
        raise Refusal(
            found=f"{rows:,} {what} rows" + f", all of them with the label {labels[0]}" * bool(labels),
            expected="rows of different labels",
            where=where,
            remedy="choose other dates or a larger share; check that late labels have arrived",
        )
