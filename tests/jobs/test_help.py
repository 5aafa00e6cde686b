import pytest
from command import nightjar

from jobs.__main__ import app

VERBS = [command.name for command in app.registered_commands]
VERBS += ["bench", "bench step", "bench feed", "bench job"]


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_an_example(tmp_path, verb):
    done = nightjar(*verb.split(), "--help", cwd=tmp_path)
    assert done.exit_code == 0
    _, _, example = done.stdout.partition("Example:")
    assert f"nightjar {verb}" in example
