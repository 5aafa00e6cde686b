import sys
from collections.abc import Iterator

import pytest

_opened: list[object] = []


def _note_pickles(event: str, arguments: tuple[object, ...]) -> None:
    if event == "pickle.find_class":
        _opened.append(arguments)


sys.addaudithook(_note_pickles)


@pytest.fixture(autouse=True)
def _no_pickle_is_opened() -> Iterator[None]:
    """Whatever a file holds: who opens a pickle runs what somebody has put into it."""
    _opened.clear()
    yield
    assert not _opened
