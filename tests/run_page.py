"""A page's blocks, to be run as they stand there."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """(name of a file, what it holds) of each that is one, and ("", a line for a shell) of the others."""
    for language, content in BLOCK.findall(text):
        if language == "console":
            yield from (("", line.removeprefix("$ ")) for line in content.splitlines() if line.startswith("$ "))
        else:
            name, _, rest = content.partition("\n")
            yield name.removeprefix("# "), rest


def shell(line: str, folder: Path) -> str:
    done = subprocess.run(["bash", "-ec", line], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout
