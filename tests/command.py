"""`nightjar` in this process, so that tests of it share one Ray cluster."""

import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from jobs.__main__ import main


@dataclass(frozen=True)
class Done:
    """What a shell would have seen of a command."""

    exit_code: int
    stdout: str
    stderr: str


def nightjar(*arguments: str, cwd: Path) -> Done:
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        patch.object(sys, "argv", ["nightjar", *arguments]),
    ):
        try:
            main()
            exit_code = 0
        except SystemExit as stopped:
            exit_code = int(stopped.code or 0)
    return Done(exit_code, stdout.getvalue(), stderr.getvalue())
