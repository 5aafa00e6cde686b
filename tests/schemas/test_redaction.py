import io
import logging
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest
from secret_uris import SECRET_URIS

from schemas import redaction
from schemas.redaction import redacted, redacted_streams, redacted_tree


def test_passwords_in_uris_are_left_out():
    text = "uri: postgresql://me:secret@db/mlflow\nlogs: s3://bucket/a@b"
    assert redacted(text) == "uri: postgresql://***@db/mlflow\nlogs: s3://bucket/a@b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql+psycopg2://user:p/w@x@host/db", "postgresql+psycopg2://***@host/db"),
        ("'http://user:s3cr/t@127.0.0.1:5000'", "'http://***@127.0.0.1:5000'"),
        ("https://token@host/path", "https://***@host/path"),
        ("sqlite:////home/a@b/m.db?password=s3cr't&timeout=5", "sqlite:////home/a@b/m.db?password=***&timeout=5"),
        ("(s3://b/k?versionId=1&X-Amz-Signature=5ec2e7)", "(s3://b/k?versionId=1&X-Amz-Signature=***"),
        ('{"uri": "abfs://c/x?sig=5ec2e7", "rows": 8}', '{"uri": "abfs://c/x?sig=***", "rows": 8}'),
        ("models:/ctr@champion of http://host:5000/#/models", "models:/ctr@champion of http://host:5000/#/models"),
    ],
)
def test_what_is_left_out_and_what_stays(text, shown):
    assert redacted(text) == shown


@pytest.mark.parametrize(("uri", "secret"), SECRET_URIS)
@pytest.mark.parametrize(
    "words", ["{}", "refused: {}: no answer", "'{}'", '{{"uri": "{}", "rows": 8}}', "--set a={} -v"]
)
def test_no_secret_of_a_uri_is_left_wherever_the_uri_stands(uri, secret, words):
    shown = redacted(words.format(uri))
    assert secret not in shown
    assert redacted(shown) == shown


def test_secrets_of_the_environment_are_left_out_wherever_they_stand(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "open/sesame")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "short")
    text = "tried open/sesame, open%2Fsesame and wJalrXUtnFEMI/K7MDENG of /var/run/token, in short"
    assert redacted(text) == "tried ***, *** and *** of /var/run/token, in short"


def test_the_folder_that_the_shell_stands_in_is_no_secret_though_its_variable_is_called_like_one(monkeypatch):
    monkeypatch.setenv("PWD", "/home/ann/clicks")
    monkeypatch.setenv("OLDPWD", "/home/ann/models")
    monkeypatch.setenv("DB_PWD", "correct-horse-7")
    text = "/home/ann/clicks/.nightjar and /home/ann/models, by correct-horse-7"
    assert redacted(text) == "/home/ann/clicks/.nightjar and /home/ann/models, by ***"


def test_the_password_of_a_uri_that_was_told_is_left_out_without_its_uri_too():
    redaction.remember('db://user:a b"c%2F9d@host/db')
    redaction.remember("db://nightjar:nightjar@host/db")
    assert redacted('user, with a b"c%2F9d or a b"c/9d, on nightjar') == "user, with *** or ***, on nightjar"


def test_the_pieces_that_a_library_has_made_of_a_password_are_left_out_with_it():
    text = "'user:s3cr' is not a valid host or port\nwhere     http://user:s3cr/t@host"
    assert redacted(text) == "'***' is not a valid host or port\nwhere     http://***@host"


def test_each_string_of_a_tree_is_redacted_by_itself():
    tree = {"uri": "http://me:secret@host", "days": [1, "db://me:secret@db"], "none": None}
    assert redacted_tree(tree) == {"uri": "http://***@host", "days": [1, "db://***@db"], "none": None}


def test_whatever_writes_to_the_streams_no_secret_passes():
    uri = "http://user:s3cr/t@host"
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        with redacted_streams():
            print("a", uri)
            print(uri[:10], end="")
            print(uri[10:])
            print("begun", uri, end="", file=sys.stderr, flush=True)
            handler = logging.StreamHandler()
            handler.emit(logging.LogRecord("", 30, "", 1, f"logged {uri}", None, None))
            sys.stdout.write("ended without a new line")
        print("as before", uri)
    assert out.getvalue() == f"a http://***@host\nhttp://***@host\nended without a new lineas before {uri}\n"
    assert "s3cr/t" not in err.getvalue()
    assert err.getvalue().startswith("begun http://***@hostlogged http://***@host\n")


def test_a_traceback_that_is_printed_afterwards_is_redacted_too():
    with redirect_stderr(io.StringIO()) as err:
        with pytest.raises(ZeroDivisionError), redacted_streams():
            raise ZeroDivisionError
        print("Traceback of http://user:s3cr/t@host", file=sys.stderr)
    assert err.getvalue() == "Traceback of http://***@host\n"
