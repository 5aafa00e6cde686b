"""How many inputs each test of tests/fuzz tries, and which."""

import os

from hypothesis import HealthCheck, settings

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
