"""TransferConfig: what a stage takes over of the one that it starts from, by whether both see the same rows."""

from typing import Any, Literal, Self

from pydantic import BaseModel, Field, PositiveFloat

from schemas.features import FROZEN

UNSEEN: dict[str, Any] = {"w": True, "w0": True, "accumulators": 1.0}
SEEN: dict[str, Any] = {"w": False, "w0": False, "accumulators": 0.0}


class TransferConfig(BaseModel):
    """What a stage takes over of the one that it starts from; what it does not, starts fresh.

    Some defaults go by the rows. Where the days of both are apart, all is taken over, accumulators included. Where they
    overlap, the rows `[w | v]` know the labels that the stage is to learn: it takes over v alone. Of a registered model
    that `init_from` names nothing is known here, and it counts as one that has seen them. A resolved config says which.
    """

    model_config = FROZEN
    w: bool | None = Field(
        default=None, description="The first weight of each row, that of its id alone; none: if the days are apart."
    )
    v: bool = Field(default=True, description="The K others of each row, the id's vector.")
    w0: bool | None = Field(default=None, description="The global bias; none: if the days are apart.")
    scale: PositiveFloat | Literal["fresh"] = Field(
        default=1.0, description="Times w and v; `fresh`: what gives v the deviation of a fresh start."
    )
    accumulators: float | None = Field(
        default=None,
        ge=0,
        description="Times the rows' Adagrad accumulators, each a learning rate of its own: 0 starts new ones, 1 keeps "
        "them, so that what the earlier stage saw often moves little, however large the batches of both. None: 1 if "
        "the days are apart, else 0. Adam always starts new ones.",
    )
    dense: bool = Field(
        default=False, description="The layers and biases too, as a model that goes on does; they must be alike."
    )

    def resolved(self, *, has_seen_the_rows: bool) -> Self:
        """With a value for each key that none was given for: by the case, again where that has become another."""
        given = {key for key in self.model_fields_set if getattr(self, key) is not None}
        by_case = SEEN if has_seen_the_rows else UNSEEN
        values = dict(self) | {key: one for key, one in by_case.items() if key not in given}
        return self.model_construct(given, **values)

    def in_words(self) -> str:
        """What of a resolved one is taken over of the rows, and with which accumulators."""
        taken = [name for name in ("w", "v", "w0") if getattr(self, name)]
        accumulators = {0.0: "new accumulators", 1.0: "its accumulators"}
        own = accumulators.get(self.accumulators or 0.0, f"its accumulators times {self.accumulators:g}")
        return f"{', '.join(taken)} with {own}" if taken else "nothing of its rows"
