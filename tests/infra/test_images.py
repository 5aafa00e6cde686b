"""Which versions the images have, and that the Dockerfile is sound. No image is built here: there is no registry."""

import re
import subprocess
import tomllib

import pytest
from manifests import BIN, INFRA, KUSTOMIZATIONS, NIGHTS, ROOT, compose, containers, ray_jobs, rendered
from packaging.requirements import Requirement

PINS = dict(line.split("==") for line in (INFRA / "constraints.txt").read_text().split())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DOCKERFILE = (INFRA / "Dockerfile").read_text()
TAG = f"{PROJECT['version']}-ray{PINS['ray']}"


def argument(name: str) -> str:
    return re.search(rf"^ARG {name}=(.*)$", DOCKERFILE, re.MULTILINE)[1]


def test_the_image_has_the_ray_that_is_pinned_and_that_the_project_wants():
    assert argument("RAY_VERSION") == PINS["ray"]
    assert argument("RAY_IMAGE") == "rayproject/ray:${RAY_VERSION}-py311-${DEVICE}"
    (ray,) = (Requirement(text) for text in PROJECT["dependencies"] if text.startswith("ray["))
    assert PINS["ray"] in ray.specifier


def test_the_image_has_the_python_that_the_project_wants():
    assert PROJECT["requires-python"] == ">=3.11"
    assert argument("PYTHON_IMAGE").startswith("python:3.11-")


@pytest.mark.slow
def test_manifests_and_compose_name_the_images_that_the_dockerfile_says_to_build():
    built = set(re.findall(r"^#   docker build .*-t (\S+)", DOCKERFILE, re.MULTILINE))
    assert built == {f"nightjar:{TAG}-cpu", f"nightjar:{TAG}-gpu", f"nightjar-mlflow:{PINS['mlflow']}"}
    named = {container["image"] for name in KUSTOMIZATIONS if name != "base" for container in containers(name)}
    assert {image.removeprefix("registry.example.com/") for image in named} == built
    ours = {service["image"] for service in compose()["services"].values() if "build" in service}
    assert ours <= built


@pytest.mark.slow
def test_the_operator_knows_the_ray_of_the_image():
    told = {
        job["rayClusterSpec"]["rayVersion"]
        for name in NIGHTS
        for document in rendered(name)
        for job in ray_jobs(document)
    }
    assert told == {PINS["ray"]}


@pytest.mark.slow
def test_the_dockerfile_passes_hadolint():
    done = subprocess.run([BIN / "hadolint", INFRA / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_no_image_runs_as_root_or_takes_more_of_the_checkout_than_it_needs():
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    users = {stage.split(" AS ")[1].split()[0]: re.findall(r"^USER (\S+)", stage, re.MULTILINE) for stage in stages}
    assert users == {
        "wheel": [],
        "mlflow": ["1000"],
        "nightjar": ["1000"],
    }  # of the first, nothing but the wheel is kept
    ignored = (INFRA / "Dockerfile.dockerignore").read_text().split()
    assert ignored[0] == "*"
    kept = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = {path for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.MULTILINE) for path in line.split()[:-1]}
    assert kept == copied | {"infra/constraints.txt"}
