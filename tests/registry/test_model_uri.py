"""What names no model is refused in words before MLflow or a file system is asked."""

import pytest

from pipeline.registry import model_uri
from pipeline.registry.tracking import Tracking, connect
from schemas.config import MLflowConfig
from schemas.errors import Refusal

NOWHERE = Tracking("http://127.0.0.1:9", "0")
NO_URIS = ["", " ", "http://host/model", "https://user@host/model", "models:/", "models:/@champion", "models:/a@b@c"]
NO_URIS += ["models:/a/1/2", "models:/a/", "models:/a@", "models://a/1", "models:/ @champion", "runs:/", "runs:/a"]
NO_URIS += [
    "file:",
    "file://host/folder",
    "file:///folder?a=b",
    "ftp://host/model",
    "C:/model",
    "models:/a\nb/1",
    "a\0b",
]
NO_URIS += [
    "\udcff",
    "x" * 2000,
    "folder/" + "x" * 300,
    "models:/" + "x" * 300 + "@champion",
    "file:///" + "\u00e9" * 200,
]


@pytest.mark.parametrize("uri", NO_URIS)
def test_what_names_no_model_is_refused_in_four_lines_and_nobody_is_asked(uri):
    for ask in (model_uri.pinned, model_uri.load_bundle):
        with pytest.raises(Refusal, match="the URI of a model") as refused:
            ask(NOWHERE, uri)
        lines = str(refused.value).splitlines()
        assert [line.split()[0] for line in lines] == ["found", "expected", "where", "remedy"]
        assert max(map(len, lines)) < 300


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_names_with_quotes_and_folders_with_odd_signs_are_looked_for_as_they_are(tmp_path):
    tracked = connect(MLflowConfig(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db"), str(tmp_path))
    for name in ("it's", 'a "model"', "b\\", "c; d -- e", "%"):
        tracked.client.create_registered_model(name)
        tracked.client.create_model_version(name, str(tmp_path))
        with pytest.raises(Refusal, match=r"one of the versions 1 of "):
            model_uri.load_bundle(tracked, f"models:/{name}@champion")
    for uri in ("models:/a'b@champion", "models:/a'b/1", "models:/a'\"b@champion", "models:/a'b", "runs:/a'b/fm"):
        assert model_uri.pinned(tracked, uri) == uri
        with pytest.raises(Refusal, match="registered model"):
            model_uri.load_bundle(tracked, uri)
    for folder in ("no bundle", "100%25", "a?b#c", "a@b", "file:x"):
        uri = f"{tmp_path}/{folder}"
        assert model_uri.pinned(tracked, uri) == uri
        with pytest.raises(Refusal, match=r"no bundle\.json") as refused:
            model_uri.load_bundle(tracked, uri)
        assert refused.value.where.startswith(uri)
