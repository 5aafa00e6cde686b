from datetime import date
from pathlib import Path

import pytest

from pipeline.scoring.day_folder import DayFolder
from schemas.errors import Failure
from schemas.scores import DayScores

SCORES = DayScores(model_uri="models:/ctr/1", model_sha256="0" * 64, manifest="1" * 16, rows=8)


@pytest.fixture
def folder(tmp_path: Path) -> DayFolder:
    """With both of its parts waiting."""
    waiting = DayFolder(str(tmp_path), date(2026, 11, 1), SCORES, "2" * 16, num_parts=2)
    Path(waiting.waiting_uri).mkdir()
    for index in range(2):
        (Path(waiting.waiting_uri) / waiting.part_name(index)).write_bytes(b"four")
    return waiting


def test_a_day_is_published_when_all_parts_are_there_as_they_were_written(folder: DayFolder) -> None:
    folder.publish({folder.part_name(0): 4})
    assert sorted(path.name for path in Path(folder.uri).iterdir()) == [
        "_SUCCESS",
        folder.part_name(0),
        folder.part_name(1),
    ]


@pytest.mark.parametrize("size", [None, 3], ids=["missing", "half"])
def test_scores_that_a_node_wrote_to_a_disk_of_its_own_are_missing_and_the_day_is_not_published(
    folder: DayFolder, size: int | None
) -> None:
    path = Path(folder.waiting_uri) / folder.part_name(1)
    path.write_bytes(b"123")
    if size is None:
        path.unlink()
    with pytest.raises(Failure, match="a node of the cluster does not share this folder"):
        folder.publish({folder.part_name(0): 4, folder.part_name(1): 4})
    assert not Path(folder.uri).exists()
    assert not (Path(folder.waiting_uri) / "_SUCCESS").exists()
