"""Whatever a secret and the text around it: the secret is not shown, and all else is."""

import pytest
from examples import several
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.redaction import redacted

pytestmark = pytest.mark.slow

MARKS = st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters='"<*')
SECRETS = st.text(MARKS, min_size=4, max_size=20)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="?&;#/"), max_size=10)


@several()
@given(user=st.from_regex(r"[a-z/]{0,8}", fullmatch=True), password=SECRETS, query=SECRETS, words=WORDS)
def test_a_secret_never_survives_and_twice_is_once(user, password, query, words):
    others = f"{words} db://{user}:***@host/db?api_key=*** {words}"
    assume(password not in others and query not in others and "&" not in query)
    shown = redacted(f"{words} db://{user}:{password}@host/db?api_key={query} {words}")
    assert password not in shown
    assert query not in shown
    assert redacted(shown) == shown


@several()
@given(st.lists(WORDS))
def test_text_without_uris_stays_as_it_is(words):
    text = " ".join(words)
    assert redacted(text) == text
