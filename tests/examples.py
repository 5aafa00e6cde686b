"""How many inputs each test of tests/fuzz tries, and what becomes of a file's bytes."""

import os
from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

FEW = 100
EXAMPLES = int(os.environ.get("NIGHTJAR_EXAMPLES", FEW))


def several(share: float = 1.0) -> settings:
    """For a test that tries `share` of the inputs that others try, since each takes longer.

    The few of `make test` are the same at each run; the many of `make fuzz` are others each time, and what fails is
    printed with the decorator that tries it again.
    """
    return settings(
        max_examples=max(1, round(EXAMPLES * share)),
        deadline=None,
        derandomize=EXAMPLES == FEW,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


DAMAGES = ["emptied", "cut", "flipped", "zeroed", "doubled", "swapped"]


@st.composite
def damages(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """From a file's content to what is left of it."""
    kind, places = (
        draw(st.sampled_from(DAMAGES)),
        draw(st.lists(st.floats(0, 1, exclude_max=True), min_size=2, max_size=2)),
    )
    bit, length = draw(st.integers(0, 7)), draw(st.sampled_from([1, 2, 8, 100]))

    def damage(content: bytes) -> bytes:
        first, second = (int(place * len(content)) for place in places)
        match kind:
            case "emptied":
                return b""
            case "cut":
                return content[:first]
            case "flipped":
                return content[:first] + bytes([content[first] ^ (1 << bit)]) + content[first + 1 :]
            case "zeroed":
                return (content[:first] + bytes(length))[: len(content)] + content[first + length :]
            case "doubled":
                return content[:first] + content[first : first + length] + content[first:]
            case _:
                start, end = min(first, second), max(first, second)
                return content[end:] + content[start:end] + content[:start]

    return damage
