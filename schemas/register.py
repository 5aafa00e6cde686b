"""Register: which stages of a retrain become versions of the registered model."""

from enum import StrEnum


class Register(StrEnum):
    """Each registers all that the one before it does, and more."""

    NONE = "none"
    BEST = "best"
    ALL = "all"

    def includes(self, other: "Register") -> bool:
        """Whether all is registered that `other` asks for."""
        each = list(Register)
        return each.index(self) >= each.index(other)
