import os
import subprocess
import sys
from importlib.metadata import version

import pytest
from command import nightjar

from jobs.__main__ import app

VERBS = [command.name for command in app.registered_commands]
VERBS += [
    "import",
    *(f"import {name}" for name in ("criteo", "avazu", "csv", "libsvm", "libffm")),
    "config",
    "config check",
    "bench",
    "bench step",
    "bench feed",
    "bench job",
    "bench run",
]


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_an_example(tmp_path, verb):
    done = nightjar(*verb.split(), "--help", cwd=tmp_path)
    assert done.exit_code == 0
    _, _, example = done.stdout.partition("Example:")
    assert f"nightjar {verb}" in example


def test_the_version_is_that_of_the_package(tmp_path):
    done = nightjar("--version", cwd=tmp_path)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"nightjar {version('nightjar')}, Python 3.")


@pytest.mark.slow
@pytest.mark.parametrize(("typed", "offered"), [("nightjar tr", {"train"}), ("nightjar serve --p", {"--port"})])
def test_a_shell_completes_verbs_and_options_without_importing_what_takes_seconds(typed, offered):
    code = (
        "import sys; sys.argv = ['nightjar']; from jobs.__main__ import main\ntry: main()\nfinally: print(*sys.modules)"
    )
    asked = {"_NIGHTJAR_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True, check=True
    )
    *words, modules = done.stdout.splitlines()
    assert set(words) == offered
    assert not {"torch", "ray", "mlflow", "pandas"} & {*modules.split()}


@pytest.mark.slow
def test_a_command_ends_without_a_last_look_for_garbage():
    code = "import atexit, gc, sys; atexit.register(lambda: print(gc.get_freeze_count() > 10_000)); "
    code += "sys.argv = ['nightjar', '--version']; from jobs.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1:] == ["True"]
