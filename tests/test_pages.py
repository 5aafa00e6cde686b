"""The pages hold together: what they link to is there, and what should stand on them does."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from answers import PAGE
from answers import page as page_of_answers

from jobs.__main__ import app

ROOT = Path(__file__).parents[1]
MADE = {"data", "build", "dist"}  # folders that work leaves behind
PAGES = sorted(
    page
    for entry in ROOT.iterdir()
    if not entry.name.startswith(".") and entry.name not in MADE
    for page in (entry.rglob("*.md") if entry.is_dir() else [entry])
    if page.suffix == ".md"
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```", re.DOTALL)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """(file, anchor) of each link that stays in the repository."""
    for target in LINK.findall(CODE.sub("", text_of(page))):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield (page.parent / path).resolve() if path else page, anchor


def anchors(page: Path) -> set[str]:
    """What GitHub calls a page's headings."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_links_to_is_there(page):
    for target, anchor in links(page):
        assert target.exists(), f"{target.relative_to(ROOT)} does not exist"
        assert not anchor or anchor in anchors(target), f"{target.relative_to(ROOT)} has no heading #{anchor}"


def test_every_picture_stands_on_a_page():
    shown = {target for page in PAGES for target, _ in links(page)}
    assert [picture.name for picture in (ROOT / "infra/images").iterdir() if picture not in shown] == []


def test_the_readme_is_read_in_one_go():
    assert len(text_of(ROOT / "README.md").splitlines()) <= 200


def test_every_verb_and_every_config_stands_on_the_page_of_the_verbs():
    page = ROOT / "jobs/README.md"
    verbs = {command.name for command in app.registered_commands} | {group.name for group in app.registered_groups}
    assert verbs <= anchors(page)
    linked = {target for target, _ in links(page)}
    assert [config.name for config in (ROOT / "jobs/configs").iterdir() if config not in linked] == []


def test_the_page_of_answers_says_what_the_tests_are_called():
    assert text_of(PAGE) == page_of_answers(), "write it again: make answers"
