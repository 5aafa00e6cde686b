"""What stands in `infra`, as Kubernetes, compose and our own command line read it."""

import functools
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
import yaml

from jobs.__main__ import app

ROOT = Path(__file__).parents[1]
INFRA = ROOT / "infra"
KUBERNETES = INFRA / "kubernetes"
BIN = Path(sys.executable).parent
KUSTOMIZATIONS = [str(file.parent.relative_to(KUBERNETES)) for file in sorted(KUBERNETES.rglob("kustomization.yaml"))]
NIGHTS = [name for name in KUSTOMIZATIONS if name not in ("base", "mlflow")]  # those that begin a night
RAY = "ray.io/v1"


@functools.cache
def rendered(kustomization: str) -> list[dict[str, Any]]:
    """The objects that `kubectl apply -k` would send."""
    done = subprocess.run(
        [BIN / "kubectl", "kustomize", KUBERNETES / kustomization], capture_output=True, text=True, check=True
    )
    return list(yaml.safe_load_all(done.stdout))


def one(kustomization: str, kind: str, name: str) -> dict[str, Any]:
    (found,) = [
        document
        for document in rendered(kustomization)
        if document["kind"] == kind and document["metadata"]["name"] == name
    ]
    return found


def pod_templates(tree: Any) -> Iterator[dict[str, Any]]:
    """Every template of a pod in an object, wherever its kind keeps it."""
    if isinstance(tree, dict):
        if isinstance(tree.get("template"), dict) and "containers" in tree["template"].get("spec", {}):
            yield tree["template"]
        for branch in tree.values():
            yield from pod_templates(branch)
    elif isinstance(tree, list):
        for branch in tree:
            yield from pod_templates(branch)


def containers(kustomization: str) -> list[dict[str, Any]]:
    return [
        container
        for document in rendered(kustomization)
        for template in pod_templates(document)
        for container in template["spec"]["containers"]
    ]


def ray_jobs(tree: Any) -> Iterator[dict[str, Any]]:
    """Every spec of a RayJob in an object."""
    if isinstance(tree, dict):
        if "rayClusterSpec" in tree:
            yield tree
        for branch in tree.values():
            yield from ray_jobs(branch)


def compose() -> dict[str, Any]:
    return yaml.safe_load((INFRA / "compose.yaml").read_text())


def parse(words: list[str]) -> None:
    """Raise what a shell would be told of a command line of ours, where it could not be read; nothing is run.

    What `nightjar submit` is to run is a command line of ours itself.
    """
    assert words[0] == "nightjar", words
    group = typer.main.get_command(app)
    with group.make_context("nightjar", words[1:]) as context:
        rest = [*context._protected_args, *context.args]
        name, verb, of_verb = group.resolve_command(context, rest)
        with verb.make_context(name, of_verb, parent=context):
            pass
    if name == "submit":
        parse(["nightjar", *words[words.index("--") + 1 :]])


def commands_of_text(text: str) -> Iterator[list[str]]:
    """The whole command lines of ours in a text: those that name a verb and an option."""
    verbs = "|".join(typer.main.get_command(app).commands)
    text = re.sub(r"\\\n\s*", "", text)
    for found in re.finditer(rf"\bnightjar (?:{verbs}) [^`;|&>\n]*-[^`;|&>\n]*", text):
        if "submit" not in found[0] or " -- " in found[0]:
            yield shlex.split(found[0])
