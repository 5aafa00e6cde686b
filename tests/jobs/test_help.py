import pytest
from command import nightjar


@pytest.mark.parametrize("verb", ["generate", "train", "evaluate", "score", "ui"])
def test_help_shows_an_example(tmp_path, verb):
    done = nightjar(verb, "--help", cwd=tmp_path)
    assert done.exit_code == 0
    _, _, example = done.stdout.partition("Example:")
    assert f"nightjar {verb}" in example
