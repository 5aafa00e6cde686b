"""What is refused is told without the secrets of its URIs; registry/test_serving.py has what comes to an end."""

import json

import pytest
from night_folder import NightFolder
from secret_uris import SECRET_URIS

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.mark.parametrize(("uri", "secret"), SECRET_URIS)
def test_a_uri_with_a_secret_that_is_refused_is_shown_without_it(tmp_path, uri, secret):
    folder = NightFolder.write(tmp_path, 2)
    key = "data.logs_uri" if uri.startswith(("s3", "simplecache", "abfs")) else "mlflow.tracking_uri"
    done = folder.run("train", **{key.replace(".", "__"): uri})
    assert done.exit_code in (1, 2), done.stderr
    assert secret not in done.stdout + done.stderr
    assert "***" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "work" / "runs").exists()


@pytest.mark.parametrize("verb", ["nightly", "plan", "status", "rollback", "rebuild", "evaluate", "score", "sweep"])
def test_a_server_that_does_not_answer_is_told_without_its_password(tmp_path, verb):
    folder = NightFolder.write(tmp_path, 2)
    (tmp_path / "sweep.yaml").write_text(
        json.dumps({"stage": "fm", "trials": 1, "space": {"stages.fm.epochs": {"choice": [1]}}})
    )
    arguments = {
        "evaluate": ["--model", "models:/ctr@champion"],
        "score": ["--model", "models:/ctr@champion", "--date", "2026-11-01", "--out", "out"],
        "sweep": ["--sweep", "sweep.yaml", "--out", "best.yaml", "--set", "data.validation_share=0.1"],
    }
    done = folder.run(verb, *arguments.get(verb, []), mlflow__tracking_uri="http://user:s3cr/t@127.0.0.1:9")
    assert done.exit_code == 2, done.stderr
    assert "http://***@127.0.0.1:9" in done.stderr
    assert "s3cr" not in done.stdout + done.stderr
