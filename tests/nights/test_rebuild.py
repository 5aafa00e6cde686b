"""`nightjar rebuild`, of a champion that has learned a user who is not seen again."""

import pytest
from night_folder import MODEL, ROWS, NightFolder

from pipeline.nights import records
from pipeline.registry import model_uri

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("cluster")]


def users(folder: NightFolder) -> set[str]:
    """That the champion knows."""
    values = model_uri.load_bundle(folder.tracking, f"models:/{MODEL}@champion").vocabulary.values.to_pylist()
    return {row["value"] for row in values if row["field"] == "user"}


def test_a_rebuild_drops_what_was_rare_and_is_seen_no_more_and_its_model_serves(tmp_path):
    folder = NightFolder.write(tmp_path, num_days=3)
    folder.rewrite(1, "user", ["zoe"] * 20 + ["ann", "bob", "cat", "dan"] * (ROWS // 4 - 5))
    assert folder.run("rebuild").exit_code == 2, "there is no champion yet"
    assert folder.night(2).exit_code == 0
    assert users(folder) == {"ann", "bob", "cat", "dan", "zoe"}

    done = folder.run("rebuild", night__eviction__unseen_days=2, night__eviction__max_count=100)
    assert done.exit_code == 0, done.stderr
    assert f"models:/{MODEL}/2 is champion" in done.stdout
    assert users(folder) == {"ann", "bob", "cat", "dan"}
    assert folder.aliases() == {"challenger": "2", "champion": "2", "previous_champion": "1"}
    assert folder.learned_days(2) == [1], "what it has learned is as it was"
    (move,) = records.moves_of(folder.config())
    assert (move.kind, move.from_uri, move.to_uri) == ("rebuild", f"models:/{MODEL}/1", f"models:/{MODEL}/2")

    with folder.unchanged():
        again = folder.run("rebuild", night__eviction__unseen_days=2, night__eviction__max_count=100)
    assert "nothing to drop" in again.stdout
