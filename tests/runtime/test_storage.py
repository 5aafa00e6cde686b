"""What a node finds of another disk, tried with two folders in the place of two disks."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.runtime.check import Node, told
from pipeline.runtime.storage import NotShared, SameFile, SharedFolder

ONE, OTHER = Node("a1", "node-1", "10.0.0.1", False), Node("b2", "node-2", "10.0.0.2", False)


def test_on_one_disk_a_node_and_the_driver_read_each_other(tmp_path):
    check = SharedFolder("work_uri", str(tmp_path))
    check.begin()
    check.on_node(ONE.id)
    check.confirm(ONE.id)
    check.end()
    assert not list(tmp_path.iterdir())


def test_a_node_that_sees_another_disk_writes_nothing_there(tmp_path):
    here = SharedFolder("work_uri", str(tmp_path / "here"))
    there = replace(here, uri=str(tmp_path / "there"))
    here.begin()
    with pytest.raises(NotShared, match="what this machine has written is not there"):
        there.on_node(ONE.id)
    assert not (tmp_path / "there").exists()


def test_a_node_whose_writing_goes_elsewhere_is_found_out(tmp_path):
    check = SharedFolder("work_uri", str(tmp_path))
    check.begin()
    check.on_node(ONE.id)
    (Path(check.folder_uri) / ONE.id).write_text("of another")
    for node in (ONE, OTHER):
        with pytest.raises(NotShared, match="what it has written is not to be seen here"):
            check.confirm(node.id)


def test_a_log_of_the_same_name_and_other_rows_is_none_of_this_one(tmp_path):
    for name in ("here", "there"):
        (tmp_path / name).write_text(f"rows of {name}")
    check = SameFile("data.logs_uri", str(tmp_path / "here"))
    check.begin()
    check.on_node(ONE.id)
    for name, why in (("there", "another file lies there"), ("gone", "the file is not there")):
        with pytest.raises(NotShared, match=why):
            replace(check, uri=str(tmp_path / name)).on_node(ONE.id)


@pytest.mark.parametrize(
    ("uri", "remedy"), [("/mnt/work", "that all nodes mount"), ("s3://bucket/work", "give every node credentials")]
)
def test_the_refusal_names_nodes_with_their_reason_and_the_remedy_of_the_place(uri, remedy):
    refusal = SharedFolder("work_uri", uri).refusal({ONE: "not there", OTHER: "not there"})
    assert refusal.found == "node-1 (10.0.0.1), node-2 (10.0.0.2): not there"
    assert refusal.where == f"work_uri: {uri}"
    assert remedy in refusal.remedy
    assert len(str(refusal).splitlines()) == 4


def test_of_many_nodes_a_few_are_named():
    nodes = {Node(str(i), f"node-{i}", "10.0.0.1", False): "silent" for i in range(9)}
    assert told(nodes).endswith("node-4 (10.0.0.1) and 4 more: silent")
