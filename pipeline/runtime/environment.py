"""Variables of this process's environment that hold for a while, and for the processes that it starts meanwhile."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def changed(changes: Mapping[str, str]) -> Iterator[None]:
    """Within, these are as given; afterwards as they were."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
