"""What a file's text can be and yet be no config: each is refused with its line."""

from pathlib import Path

import pytest

from schemas.errors import Refusal
from schemas.loading import load, read_yaml
from schemas.sweep import SweepConfig

LAUGHS = "\n".join(["a0: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60))])
DEEPENING = "\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 2000))])


def refusal_of(path: Path, content: bytes) -> Refusal:
    path.write_bytes(content)
    with pytest.raises(Refusal) as refusal:
        read_yaml(path)
    return refusal.value


@pytest.mark.parametrize(
    ("text", "found", "line"),
    [
        ("a: 1\nday: 2026-02-30\n", "'2026-02-30', which is no timestamp", 2),
        ("a: 1\nb:\n  - c: 2026-13-01\n", "'2026-13-01', which is no timestamp", 3),
        ("a: 1\n? [a]\n: 1\n", "a list as a key", 2),
        ("a: 1\n? {a: 1}\n: 1\n", "a dict as a key", 2),
        ("a: 1\nb: {c: 1, c: 2}\n", "key 'c' stands twice", 2),
        ("b: &b {c: 1}\na: {<<: *b, <<: *b}\n", "key '<<' stands twice", 2),
        ("a: 1\nb: {<<: {c: 1, c: 2}}\n", "key 'c' stands twice", 2),
        ("a: 1\nb: {<<: [{c: 1}, {c: 1, c: 2}]}\n", "key 'c' stands twice", 2),
        ("a: 1\nb: !!map [a]\n", "tagged as a mapping and is none", 2),
        ("a: 1\nb: !!set abc\n", "tagged as a mapping and is none", 2),
        ("a: 1\nb: !!seq {a: 1}\n", "expected a sequence node", 2),
        ("a: 1\nb: !!omap {a: 1}\n", "expected a sequence", 2),
        ("a: 1\nb: !!str [a]\n", "expected a scalar node", 2),
        ("a: 1\nb: {<<: x}\n", "expected a mapping or list of mappings for merging", 2),
        ("a: 1\nb: " + "{? " * 31, "expected the node content", 2),
        ("a: 1\nb: " + "{? " * 31 + "x" + "}" * 31 + "\n", "a dict as a key", 2),
        ("a: 1\nb: " + "{? " * 5000, "more than 32 deep", 2),
        ("a: 1\nb: {\n", "expected the node content", 3),
        ("a: 1\n\tb: 2\n", "cannot start any token", 2),
        ("a: 1\nb: &b [*b]\n", "alias *b inside what it repeats", 2),
        ("a: 1\nb: *b\n", "undefined alias", 2),
        ("a: 1\nb: !!python/object:x {}\n", "could not determine a constructor", 2),
        ("a: 1\nb: \0\n", "the character '\\x00'", 2),
        ('a: 1\nb: "\\UFFFFFFFF"\n', "what YAML cannot read: Python int too large", 2),
        ('a: 1\nb: "\\U00110000"\n', "what YAML cannot read: chr() arg not in range", 2),
        ('a: 1\nb: "\\uD800"\n', "surrogates not allowed", 2),
        ("a: 1\nb: " + "[" * 5000, "more than 32 deep", 2),
        ("a: 1\nb: " + "9" * 5000, "which is no int", 2),
        ("%YAML " + "1" * 5000 + ".1\n---\na: 1\n", "what YAML cannot read: Exceeds the limit", 1),
        ("a: 1\n---\nb: 2\n", "but found another document", 2),
        pytest.param(LAUGHS, "aliases that repeat more than 100,000 values", 15, marks=pytest.mark.slow),
        (DEEPENING, "more than 32 deep", 32),
    ],
)
def test_a_line_that_cannot_be_is_named(tmp_path, text, found, line):
    path = tmp_path / "train.yaml"
    refusal = refusal_of(path, text.encode())
    assert found in refusal.found
    assert refusal.where == f"{path}, line {line}"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "nothing at the top"),
        (b"# a comment\n", "nothing at the top"),
        (b"null\n", "nothing at the top"),
        (b"text\n", "str at the top"),
        (b"\xff\xfea\0", "a file that cannot be read"),
        (b"a: \xe9\n", "a file that cannot be read"),
    ],
)
def test_a_file_that_holds_no_mapping_is_refused_by_name(tmp_path, content, found):
    path = tmp_path / "train.yaml"
    refusal = refusal_of(path, content)
    assert found in refusal.found
    assert refusal.where == str(path)


@pytest.mark.parametrize("name", ["train\0.yaml", "x" * 5000, ""])
def test_a_path_that_cannot_be_is_refused(tmp_path, name):
    with pytest.raises(Refusal, match="cannot be read"):
        read_yaml(tmp_path / name)


@pytest.mark.parametrize("path", ["~nobody-of-that-name/train.yaml", "~0"])
def test_a_path_in_the_home_of_nobody_is_refused(path):
    with pytest.raises(Refusal, match="cannot be read"):
        load(SweepConfig, Path(path))


def test_a_byte_order_mark_before_the_first_key_is_no_part_of_it(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_yaml(path) == {"a": 1}


def test_a_merged_mapping_fills_in_what_is_not_said(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text("base: &base {a: 1, b: 2}\nother: {<<: *base, b: 3}\n")
    assert read_yaml(path)["other"] == {"a": 1, "b": 3}
