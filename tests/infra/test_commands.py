"""Every command line that stands in `infra` is one that its program takes; none is run."""

import shlex

import pytest
import yaml
from manifests import (
    INFRA,
    KUSTOMIZATIONS,
    NIGHTS,
    commands_of_text,
    compose,
    containers,
    one,
    parse,
    ray_jobs,
    rendered,
)

pytestmark = pytest.mark.slow

SERVICES = compose()["services"]
OURS = {"nightjar", "ray", "mlflow", "python"}


def of_manifests(kustomization: str) -> list[list[str]]:
    """What pods and Ray's jobs run."""
    pods = [container["command"] for container in containers(kustomization) if "command" in container]
    jobs = [shlex.split(job["entrypoint"]) for document in rendered(kustomization) for job in ray_jobs(document)]
    return pods + jobs


@pytest.mark.parametrize("kustomization", NIGHTS)
def test_what_nights_run_is_read_by_the_command_line(kustomization):
    commands = [words for words in of_manifests(kustomization) if words[0] == "nightjar"]
    assert commands
    for words in commands:
        parse(words)


def test_what_the_schedule_waits_for_is_there():
    for name in KUSTOMIZATIONS:
        for words in of_manifests(name):
            assert words[0] in OURS
            if words[0] == "python":
                _, script, of, job = words
                assert (of, job) == ("--of", "nightjar-night")
                assert one(name, "RayJob", job)["spec"]["suspend"]
                mounted = one(name, "ConfigMap", "nightjar-schedule")["data"]
                assert script == f"/opt/schedule/{next(iter(mounted))}"


@pytest.mark.parametrize("kustomization", NIGHTS)
def test_the_config_of_a_command_line_is_one_of_the_files_that_are_mounted(kustomization):
    sent = one(kustomization, "ConfigMap", "nightjar-config")["data"]
    told = {word for words in of_manifests(kustomization) for word in words if word.startswith("/etc/nightjar/")}
    assert told == {"/etc/nightjar/nightly.yaml"}
    assert "nightly.yaml" in sent
    assert yaml.safe_load(sent["nightly.yaml"])["data"]["features"] in sent


def test_what_compose_runs_is_read_by_the_command_line_and_by_ray():
    parse(SERVICES["nightjar"]["entrypoint"] + SERVICES["nightjar"]["command"])
    from ray.scripts.scripts import cli

    for service in ("ray-head", "ray-worker"):
        program, verb, *arguments = SERVICES[service]["command"]
        assert (program, verb) == ("ray", "start")
        cli.commands["start"].make_context("start", arguments)


def test_mlflow_answers_to_the_name_and_the_port_of_the_config():
    (container,) = containers("mlflow")
    for told in (container["args"], SERVICES["mlflow"]["command"]):
        _, hosts = " ".join(told).replace("=", " ").split("--allowed-hosts ")
        assert "mlflow:5000" in hosts.split()[0].split(",")


@pytest.mark.parametrize("file", ["schedule/nightjar.cron", "schedule/nightjar.service", "README.md"])
def test_every_command_line_of_ours_in_a_text_is_read_by_the_command_line(file):
    commands = list(commands_of_text((INFRA / file).read_text()))
    assert commands
    for words in commands:
        parse(words)
