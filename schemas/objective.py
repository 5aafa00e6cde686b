"""What speaks of clicks, and so of an objective of 0 and 1 alone."""

from schemas.errors import Refusal
from schemas.features import Objective

OF_GATE = ("min_auc", "calibration", "max_auc_error", "min_positives")
OF_QUALITY = ("label_rate_ratio",)


def only_of_clicks(objective: Objective, where: str, value: object, default: object) -> None:
    """Raise Refusal for what is set of a key that has no meaning under the objective; its default means nothing."""
    if objective == "binary" or value == default:
        return
    raise Refusal(
        found=f"{value}, where data.features.objective is {objective}",
        expected=f"{default}, its default: it speaks of clicks, and there are none",
        where=where,
        remedy="leave the key away; NE is what classes and numbers are judged by",
    )
