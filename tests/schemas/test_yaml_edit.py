import copy
from typing import Any

import pytest

from schemas.yaml_edit import edited
from schemas.yaml_text import parse

TEXT = """\
# The head.
a: &shared {b: 1, c: 'two'} # of a
d: *shared
e: &merged
  k: 1 # of k
  m: {z: 2}

# Before f.
f:
    <<: *merged
    q: 5 # of q

# Before g.
g:
  - {x: 1}
  - y # of y
# The foot.
"""


def read(text: str) -> Any:
    return parse(text, "text", "")


def after(place: str, value: object) -> tuple[str, Any]:
    """The text with that value at a dotted place, and what it was to be read as."""
    wanted: Any = copy.deepcopy(read(TEXT))
    *parents, last = place.split(".")
    node = wanted
    for part in parents:
        node = node[int(part) if isinstance(node, list) else part]
    node[int(last) if isinstance(node, list) else last] = value
    text = edited(TEXT, wanted)
    assert text is not None
    return text, wanted


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("a.b", 9),
        ("d.b", 9),
        ("d.new", [1, 2]),
        ("e.m.z", 3),
        ("f.m.z", 3),
        ("f.k", 4),
        ("f.new", {"x": {"y": 1e-05}}),
        ("f.q", None),
        ("g", []),
        ("g.0.x", "on"),
        ("g.1", "1_000"),
        ("h", {"i": {"j": True}}),
    ],
)
def test_one_place_alone_is_changed_and_no_comment_is_lost(place, value):
    text, wanted = after(place, value)
    assert read(text) == wanted
    comments = [
        line.partition("#")[2] for line in TEXT.splitlines() if "#" in line and not (place == "g" and "y" in line)
    ]
    assert sorted(line.partition("#")[2] for line in text.splitlines() if "#" in line) == sorted(comments)


def test_a_new_key_stands_before_the_comments_that_came_after_its_mapping():
    lines = after("f.new", 7)[0].splitlines()
    assert lines[lines.index("    new: 7") - 1 :][:4] == ["    q: 5 # of q", "    new: 7", "", "# Before g."]


def test_a_text_that_reads_so_already_stays_as_it_is():
    odd = "a:   1\nb: {c:  'x'}\n"
    assert edited(odd, read(odd)) == odd


def test_a_key_that_only_a_merge_brings_in_cannot_be_taken_away():
    wanted = read(TEXT)
    del wanted["f"]["m"]
    assert edited(TEXT, wanted) is None
