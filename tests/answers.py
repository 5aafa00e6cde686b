"""Writes tests/README.md: what goes wrong and what Nightjar does about it, by the names of the tests that try it.

    python tests/answers.py

A test whose name says "<what is wrong> is refused", or gives another of the ANSWERS, becomes a line of the page.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS / "README.md"
# Folders of tests, in the order in which a user meets what they are about, and what stands over their lines.
TITLES = {
    "schemas": "Configs, feature specs and overrides",
    "intake": "A log on its way in",
    "data": "The log",
    "profiles": "A day against the days before it",
    "jobs": "The command and what it stands on",
    "runtime": "Files and leases",
    "registry": "MLflow and registered models",
    "training": "Training",
    "retrain": "Retrains",
    "nights": "Nights",
    "scoring": "Scores",
    "cluster": "A cluster of several machines",
    "infra": "Manifests and schedules",
    "sweep": "Sweeps",
    "synthetic": "Synthetic logs",
    "fuzz": "Anything at all, drawn at random",
}
TEST = re.compile(r"^ *def test_(\w+)", re.MULTILINE)
DONE = (
    "refused|left aside|left out|told|dropped|made again|waited for|followed|concluded|taken over|named|marked|hidden|"
    "shown nowhere|written nowhere|a bad row|bad rows|a failure|missing|free|masked|read as|read or|read$|found out|"
    "removed|no longer|held no longer|not loaded|noticed|not taken|whole or not there|looked at again"
)
ANSWERS = re.compile(
    rf" (?P<answer>(?:(?:is|are) (?:both |each |all |still )?(?:{DONE})|ends? in|says? so|goes on when"
    r"|goes on under|go on when|costs? (?:but )?time|warns?|stops? the|stops? no|comes to what|count as missing"
    r"|becomes? words|leaves? no|leaves finished|fails no|loads as"
    r"|needs? no escape|makes nothing|makes no database|stays over)\b.*)"
)
# After one of these, a verb belongs to what is wrong and not to the answer.
RELATIVES = {"that", "what", "which", "who", "where", "when", "config", "anything"}
# Subjects with which nothing is wrong.
SOUND = {
    "each",
    "values",
    "what went",
    "what goes",
    "what was sealed",
    "where every cell has one id offsets and cells",
}
NAMES = {
    "rbm": "RBM",
    "the path s": "the path's",
    "someone elses": "someone else's",
    "ones own": "one's own",
    "the champions": "the champion's",
    "csv": "CSV",
    "latin 1": "Latin-1",
    "iceberg": "Iceberg",
    "parquet": "Parquet",
    "mlflow": "MLflow",
    "sqlite": "SQLite",
    "arrow": "Arrow",
    "ray": "Ray",
    "psi": "PSI",
    "uri": "URI",
    "uris": "URIs",
    "utf 8": "UTF-8",
    "utf 16": "UTF-16",
    "int64": "Int64",
    "s3": "S3",
    "32 bit": "32-bit",
    "json": "JSON",
    "markdown": "Markdown",
    "nightjars": "Nightjar's",
    "kubernetes": "Kubernetes",
    "kuberay": "KubeRay",
    "rayjobs": "RayJobs",
}
HEAD = """\
# What goes wrong, and what Nightjar does

Each line is a test, and reads as the test is called. `make answers` writes this page, and `make test` holds it against
the tests. What is refused ends in four lines and exit code 2 before anything expensive begins; what fails later ends in
a sentence and exit code 1, and the same command goes on ([all exit codes](../jobs/README.md#what-they-share)). Beside
these, `make fuzz` draws logs, configs, command lines and damaged files at random: the answer to each is the right one,
or words.
"""


@dataclass(frozen=True)
class Line:
    """What a test's name says, and the file that it stands in."""

    wrong: str
    answer: str
    file: str


def page() -> str:
    sections = [HEAD]
    for folder, title in TITLES.items():
        rows = [
            f"| {line.wrong} | {line.answer} | [{Path(line.file).stem}]({line.file}) |" for line in lines_of(folder)
        ]
        if rows:
            head = [f"## {title}\n", "| what goes wrong | what it does | tried in |", "|---|---|---|"]
            sections.append("\n".join([*head, *rows, ""]))
    return "\n".join(sections)


def lines_of(folder: str) -> Iterator[Line]:
    for path in sorted((TESTS / folder).rglob("test_*.py")):
        for name in dict.fromkeys(TEST.findall(path.read_text(encoding="utf-8"))):
            said = answer_in(name.replace("_", " "))
            if said:
                yield Line(*said, path.relative_to(TESTS).as_posix())


def answer_in(sentence: str) -> tuple[str, str] | None:
    """(what is wrong, what is done about it); None of a sentence that gives no answer."""
    for found in ANSWERS.finditer(sentence):
        wrong = sentence[: found.start()]
        if wrong not in SOUND and wrong.rpartition(" ")[2] not in RELATIVES:
            return _spelled(wrong), _spelled(found["answer"])
    return None


def _spelled(words: str) -> str:
    return re.sub("|".join(rf"\b{name}\b" for name in NAMES), lambda found: NAMES[found[0]], words)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
