"""The machines that the tests of this folder stand on are what they say."""

import box
import pytest

pytestmark = pytest.mark.cluster
ITS_FILES = ("find", "/tmp", "-mount", "-type", "f")  # not those of a checkout that lies below it


def test_each_machine_has_a_disk_and_a_name_of_its_own(machines: box.Box) -> None:
    one, other = machines.machine("one"), machines.machine("other")
    (one.disk / "tmp" / "here").write_text("of one")
    (machines.shared / "all").write_text("of all")
    assert one.run("cat", "/tmp/here").stdout == "of one"
    assert other.run(*ITS_FILES).stdout == ""
    assert other.run("cat", str(machines.shared / "all")).stdout == "of all"
    assert [machine.run("hostname").stdout for machine in (one, other)] == ["one\n", "other\n"]


def test_a_machine_that_is_killed_is_gone_with_all_that_ran_there(machines: box.Box) -> None:
    machine = machines.machine("short-lived")
    (machine.disk / "tmp" / "here").write_text("of the first")
    sleeping = machine.popen("sleep", "1000")
    machine.kill()
    assert sleeping.wait(5) != 0
    assert machines.machine("short-lived").run(*ITS_FILES).stdout == ""


def test_ray_runs_on_three_machines_that_share_no_disk(machines: box.Box) -> None:
    cluster = box.ray_cluster(machines, [1, 1, 2])
    count = "import ray; ray.init(logging_level='ERROR'); print(ray.cluster_resources()['CPU'], len(ray.nodes()))"
    done = cluster.head.run("python", "-c", count, env={**cluster.env, "RAY_ADDRESS": cluster.address})
    assert done.stdout == "4.0 4\n", done.stderr
