"""What is sent to MLflow: descriptions that read as they were meant, and no secrets."""

import re
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from secret_uris import SECRET_URIS

from pipeline.registry.client import as_markdown
from pipeline.registry.tags import KEY, NOTE, VERDICT
from pipeline.registry.tracking import connect
from pipeline.registry.versions import Version, set_tags
from schemas.config import MLflowConfig

ODD = "*a*_b_[x](http://y)<b> `c` | ~~d~~ # e > f & &lt; \\*g* ![h](i) {j} &copy; 1. k - l"
MARKS = "*_[]()<>`|#&;~!+-.=1 \\ab{}:/\"'"


def read(markdown: str) -> str:
    """What a page shows of it; no element but the paragraph may come of it."""
    shown = MarkdownIt("commonmark").enable("table").enable("strikethrough").render(markdown)
    assert set(re.findall(r"</?(\w+)", shown)) <= {"p"}, shown
    return unescape(re.sub(r"</?p>", "", shown)).strip("\n")


@pytest.mark.parametrize(
    "text", [ODD, "# a", "- a", "+ a", "= a", "1) a", "    a", "> a", "| a | b |", "***", "a_b_c d_e"]
)
def test_a_description_reads_as_its_words_whatever_they_are(text):
    assert read(as_markdown(text)) == text.strip()


@settings(max_examples=50)
@given(st.text(MARKS))
def test_any_words_read_as_they_are(text):
    assert read(as_markdown(text)) == text.strip()


def test_lines_stay_lines_and_none_becomes_a_list_or_code():
    assert read(as_markdown("why:\n- a\n    b\n# c")) == "why:\n- a\nb\n# c"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_mlflow_keeps_and_shows_holds_no_secret_and_no_markdown(tmp_path):
    tracked = connect(MLflowConfig(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db"), str(tmp_path))
    words = " and ".join(uri for uri, _ in SECRET_URIS)
    opening = tracked.opening("retrain", "2026-11-19", {NOTE: ODD, KEY: words}, {"uri": words, "uris": [words]})
    client = tracked.client
    run_id = opening.open(client)
    client.set_tag(run_id, "why", words)
    client.set_experiment_tag(tracked.experiment_id, "why", words)
    client.log_text(run_id, words, "words.txt")
    client.create_logged_model(tracked.experiment_id, "fm", run_id, {KEY: words})
    client.create_registered_model("ctr")
    found = client.create_model_version("ctr", str(tmp_path))
    set_tags(tracked, Version("ctr", str(found.version), run_id, {}, None), {VERDICT: f"{ODD} {words}"})
    assert read(client.get_run(run_id).data.tags[NOTE]) == ODD
    assert read(client.get_model_version("ctr", "1").description).startswith(f"{ODD} http://***@127.0.0.1:9 and ")
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"***@127.0.0.1" in kept
    assert not [secret for _, secret in SECRET_URIS if secret.encode() in kept]
