"""What each field is worth to a model: how much NE rises on held-out rows when the field says nothing of them.

By permutation (Breiman 2001, "Random Forests", section 10): the values are there, and belong to other rows. What two
fields say alike is worth little in either, for the other one still says it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldWorth:
    """One field's. Below 0 is chance, or a field that does harm."""

    name: str
    shuffles: tuple[float, ...]
    """The rise of NE of each shuffle of its values among the rows."""
    missing: float
    """The rise of NE where every row lacks it: what a day without the column would cost."""

    @property
    def rise(self) -> float:
        """The mean over the shuffles."""
        return sum(self.shuffles) / len(self.shuffles)

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest of the shuffles; of five they hold the middle of all 15 times of 16."""
        return min(self.shuffles), max(self.shuffles)


@dataclass(frozen=True, slots=True)
class Worth:
    """Of all fields of a model, on the same rows and by the same shuffles."""

    rows: int
    ne: float
    """Of the rows as they are."""
    fields: tuple[FieldWorth, ...]
    """In the order of the feature spec."""

    @property
    def by_rise(self) -> tuple[FieldWorth, ...]:
        """What is worth most comes first."""
        return tuple(sorted(self.fields, key=lambda one: -one.rise))

    @property
    def rises(self) -> dict[str, float]:
        """Field -> mean rise of NE, as nights are compared by."""
        return {one.name: one.rise for one in self.fields}
