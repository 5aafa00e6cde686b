"""Writes tests/README.md: what goes wrong and what Nightjar does about it, by the names of the tests that try it.

    python tests/answers.py

A test whose name says "<what is wrong> is refused", or gives another of the ANSWERS, becomes a line of the page.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS / "README.md"
# Rooms in the order in which a user meets them, and what stands over their lines.
ROOMS = {
    "schemas": "Configs, feature specs and overrides",
    "data": "The log",
    "profiles": "A day against the days before it",
    "jobs": "The command and what it stands on",
    "runtime": "Files and leases",
    "registry": "MLflow and registered models",
    "training": "Training",
    "retrain": "A retrain",
    "nights": "Nights",
    "scoring": "Scores",
    "sweep": "Sweeps",
    "synthetic": "Synthetic logs",
    "fuzz": "Anything at all, drawn at random",
}
ANSWERS = re.compile(
    r"(?P<wrong>.+?) (?P<answer>(?:(?:is|are) (?:each |both |all |never |not |still |asked twice and )?(?:refused|left aside"
    r"|left out|told|named|read|missing|free|busy|followed|waited for|dropped|made again|marked|masked|concluded"
    r"|written nowhere|a bad row|bad rows|a failure in words|redacted|taken over|believed|said)"
    r"|ends? in|says so|goes on|go on|costs? (?:but )?time|warns?|stops? the night|comes to what|count as missing"
    r"|become words|becomes words)\b.*)"
)
HEAD = """\
# What goes wrong, and what Nightjar does

Each line is a test, and reads as the test is called. This page is written by `make answers`, and `make test` holds it against the
tests. What is refused ends in four lines and exit code 2, before anything expensive begins; what fails later ends in a
sentence and exit code 1, and the same command goes on ([all exit codes](../jobs/README.md#what-they-share)). Beside these,
`make fuzz` draws logs, configs, command lines and damaged files at random: of each, the answer is the right one, or words.
"""


@dataclass(frozen=True)
class Line:
    """What a test's name says, and the file it stands in."""

    wrong: str
    answer: str
    file: str


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    parts = [HEAD]
    for room, title in ROOMS.items():
        found = list(lines(room))
        if found:
            rows = [f"| {line.wrong} | {line.answer} | [{Path(line.file).stem}]({line.file}) |" for line in found]
            parts.append(
                "\n".join(
                    [f"## {title}\n", "| what goes wrong | what it does | tried in |", "|---|---|---|", *rows, ""]
                )
            )
    return "\n".join(parts)


def lines(room: str) -> Iterator[Line]:
    for path in sorted((TESTS / room).rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                said = ANSWERS.fullmatch(node.name.removeprefix("test_").replace("_", " "))
                if said:
                    yield Line(said["wrong"], said["answer"], path.relative_to(TESTS).as_posix())


if __name__ == "__main__":
    main()
