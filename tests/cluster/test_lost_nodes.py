"""A node is lost, or told to go, at each part of a retrain and of a scoring: it ends as if nothing had been."""

import time

import box
import pytest
from trained_in_box import EVERY_STEPS, STAGES, Command, Lab

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900), pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def lab(machines: box.Box) -> Lab:
    return Lab.start(machines, [2, 2, 2])


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
    [holder] = lab.holders()
    lab.replace(holder)
    assert_ended_as(undisturbed, command)
    assert "attempt 2: 2 ranks go on from the last checkpoint" in command.text
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
