"""A node is lost, or told to go, at each part of a retrain and of a scoring: it ends as if nothing had been."""

import time
from typing import Any

import box
import pyarrow.parquet as pq
import pytest
from trained_in_box import BATCH, EVERY_STEPS, GATE, NUM_DAYS, ROWS, STAGES, Command, Lab

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900), pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def lab(machines: box.Box) -> Lab:
    return Lab.start(machines, [2, 2, 2])


@pytest.fixture(autouse=True)
def _whole(lab: Lab) -> None:
    """Ray learns of a loss some seconds late: each test begins when it knows of those of the one before."""
    lab.be_whole()


@pytest.fixture(scope="module")
def undisturbed(lab: Lab) -> Command:
    command = lab.train("undisturbed")
    assert command.ended() == 0, command.text
    assert all(command.tensors().values())
    return command


def assert_ended_as(undisturbed: Command, command: Command) -> None:
    assert command.ended() == 0, command.text
    assert command.tensors() == undisturbed.tensors()
    for stage in STAGES:
        repeated = command.repeated_steps(stage["name"])
        assert all(steps <= EVERY_STEPS for steps in repeated), (stage["name"], repeated)


def test_the_loss_of_the_node_with_both_ranks_in_the_first_of_three_stages_costs_one_failure(lab, undisturbed):
    command = lab.train("both-ranks", checkpoint={"every_steps": EVERY_STEPS, "max_failures": 1})
    command.wait_for(lambda: command.is_in("fm"), "training fm")
    [holder] = lab.running()
    lab.replace(holder)
    assert_ended_as(undisturbed, command)
    assert "a worker was lost, attempt 2 of 2: 2 ranks go on from the last checkpoint" in command.text
    assert "attempt 3" not in command.text


@pytest.mark.parametrize("first", [0, 1, 2])
def test_any_node_may_be_lost_while_rows_are_encoded_and_in_each_stage(lab, undisturbed, first):
    machines = [lab.ray.box.machine(f"node-{1 + (first + turn) % 3}") for turn in range(3)]
    command = lab.train(f"lost-{first}")
    for machine, happened in zip(
        machines,
        (
            lambda: "encode rows ..." in command.text,
            lambda: command.is_in("fm"),
            lambda: command.is_in("deepfm", EVERY_STEPS),
        ),
        strict=True,
    ):
        command.wait_for(happened, machine.name)
        killed = time.monotonic()
        lab.replace(machine)
        print(f"{machine.name} killed {command.saved()}, replaced in {time.monotonic() - killed:.1f} s")
    assert_ended_as(undisturbed, command)
    print({stage["name"]: command.repeated_steps(stage["name"]) for stage in STAGES}, command.text)


def test_a_checkpoint_is_made_by_the_clock_where_none_is_due_by_the_steps_and_changes_no_bit(lab, undisturbed):
    command = lab.train("by-clock", checkpoint={"every_steps": 100_000, "every_seconds": 1})
    command.wait_for(lambda: command.saved()[1] > 0, "a checkpoint")
    name, step = command.saved()
    [epochs] = [stage["epochs"] for stage in STAGES if stage["name"] == name]
    assert step < epochs * ROWS * (NUM_DAYS - 1) / BATCH, "that of its end"
    assert_ended_as(undisturbed, command)


def test_ranks_leave_a_node_that_is_about_to_go_after_a_checkpoint_and_no_failure_is_counted(lab, undisturbed):
    command = lab.train("drained", checkpoint={"every_steps": 100_000, "max_failures": 0})
    command.wait_for(lab.running, "ranks begin")
    command.wait_for(lambda: command.is_told_of("fm"), "training fm")
    [holder] = lab.running()
    began = time.monotonic()
    lab.drain(holder)
    command.wait_for(lambda: "the ranks move: 2 ranks go on" in command.text, "they move")
    seconds = time.monotonic() - began
    assert command.saved()[1] > 0, "none was due by the steps"
    lab.replace(holder)
    assert_ended_as(undisturbed, command)
    print(f"moved in {seconds:.1f} s", command.saved(), command.text)


def test_ranks_that_leave_no_cpu_to_read_rows_become_fewer_and_more_again_when_a_node_comes(lab):
    cluster = {"num_workers": {"min": 1, "max": 2}, "cpus_per_worker": 1.5, "starved_seconds": 20}
    command = lab.train("fewer", stages=[{**STAGES[0], "epochs": 16}], cluster=cluster)
    command.wait_for(lambda: command.is_in("fm"), "training fm")
    [reader] = lab.idle()
    reader.kill()
    command.wait_for(lambda: "1 rank goes on from the last checkpoint, 2 before" in command.text, "one goes on")
    lab.ray.add(reader.name, 2)
    command.wait_for(lambda: "2 ranks go on from the last checkpoint, 1 before" in command.text, "two go on")
    assert command.ended() == 0, command.text
    print(command.text)


def test_ranks_that_wait_for_a_cpu_to_read_rows_fail_within_their_time_and_go_on_where_there_is_one(lab):
    cluster = {"num_workers": 2, "cpus_per_worker": 1.5, "starved_seconds": 10}
    stages = [{**STAGES[0], "epochs": 4}]
    command = lab.train("starved", stages=stages, cluster=cluster)
    command.wait_for(lambda: command.is_in("fm"), "training fm")
    [reader] = lab.idle()
    reader.kill()
    assert command.ended() == 1, command.text
    assert "nightjar: training failed: no CPU to read rows for 1" in command.text
    assert "cluster.num_workers={min: 1" in command.text
    assert "Traceback" not in command.text
    refused = lab.train("starved", stages=stages, cluster=cluster)
    assert refused.ended() == 2, refused.text
    assert "room for 1 of 2 ranks beside the CPU that reads data; 127.0.0.1" in refused.text
    lab.ray.add(reader.name, 2)
    again = lab.train("starved", stages=stages, cluster={**cluster, "wait_seconds": 60})
    assert again.ended() == 0, again.text


def test_a_day_is_scored_alike_though_any_node_is_lost_meanwhile(lab, undisturbed):
    def score(name: str) -> Command:
        days = ("--from", "2026-11-01", "--out", str(lab.shared / name), "--set", "data.rows_per_part=250")
        return lab.command("score", "undisturbed", "--model", "models:/ctr@champion", *days)

    def rows(name: str) -> Any:
        return pq.read_table(lab.shared / name).sort_by("row")

    assert score("scores").ended() == 0
    for machine in lab.nodes:
        command = score(f"scores-{machine.name}")
        command.wait_for(lambda: lab.running("MapBatches"), "scoring")
        lab.replace(machine)
        assert command.ended() == 0, command.text
        assert rows(f"scores-{machine.name}") == rows("scores")


def test_a_command_begun_again_after_its_head_was_lost_ends_as_if_nothing_had_been(lab, undisturbed):
    night = {"gate": GATE, "lease_seconds": 20, "wait_seconds": 60}
    lost = lab.train("head", night=night)
    lost.wait_for(lambda: lost.is_in("deepfm", EVERY_STEPS), "training deepfm")
    for machine in (lab.ray.head, *lab.nodes):
        machine.kill()
    again = Lab(box.ray_cluster(lab.ray.box, [2, 2, 2], lab.ray.env)).train("head", night=night)
    assert_ended_as(undisturbed, again)
    print(again.text)
