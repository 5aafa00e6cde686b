"""The manifests, as they would be sent, against Kubernetes' schemas, those of KubeRay's kinds, and each other."""

import copy
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from manifests import BIN, KUBERNETES, KUSTOMIZATIONS, NIGHTS, RAY, containers, one, pod_templates, ray_jobs, rendered
from ray_kinds import SCHEMAS

from schemas.config import TrainConfig
from schemas.features import FeatureSpec
from schemas.loading import load

pytestmark = pytest.mark.slow  # half a second of kubectl's, once a process
CONFIG = KUBERNETES / "base/config"


def of_kubernetes(kustomization: str) -> list[dict[str, Any]]:
    """What Kubernetes' own schemas can judge: its kinds, and the pods of others."""
    pods = [
        {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "pod"}, "template": template}
        for document in rendered(kustomization)
        if document["apiVersion"] == RAY
        for template in pod_templates(document)
    ]
    return pods + [document for document in rendered(kustomization) if document["apiVersion"] != RAY]


def validate(folder: Path, documents: dict[str, list[dict[str, Any]]]) -> subprocess.CompletedProcess[str]:
    files = []
    for name, objects in documents.items():
        files.append(folder / f"{name.replace('/', '-')}.yaml")
        files[-1].write_text(yaml.safe_dump_all(objects))
    command = [BIN / "kubernetes-validate", "--strict", "--quiet", *files]
    return subprocess.run(command, capture_output=True, text=True)


def test_kubernetes_own_schemas_take_all_that_is_sent_and_know_each_kind(tmp_path):
    done = validate(tmp_path, {name: of_kubernetes(name) for name in KUSTOMIZATIONS})
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_key_of_a_manifest_that_kubernetes_does_not_know_is_found_out(tmp_path):
    typos = {
        "concurencyPolicy": ("CronJob", ["spec"]),
        "onPodCondition": ("CronJob", ["spec", "jobTemplate", "spec", "podFailurePolicy", "rules", 0]),
        "terminationGracePeriod": ("PodTemplate", ["template", "spec"]),
        "ingres": ("NetworkPolicy", ["spec"]),
    }
    wrong = {}
    for typo, (kind, path) in typos.items():
        objects = copy.deepcopy(of_kubernetes("overlays/cpu"))
        branch = next(document for document in objects if document["kind"] == kind)
        for key in path:
            branch = branch[key]
        branch[typo] = "Forbid"
        wrong[typo] = objects
    said = validate(tmp_path, wrong)
    assert said.returncode == 1
    assert [typo for typo in typos if f"'{typo}' was unexpected" not in said.stdout + said.stderr] == []


def test_the_kinds_of_kuberay_are_what_its_reference_says():
    seen = set()
    for document in (
        document for name in KUSTOMIZATIONS for document in rendered(name) if document["apiVersion"] == RAY
    ):
        jsonschema.validate(document, SCHEMAS[document["kind"]])
        seen.add(document["kind"])
    assert seen == set(SCHEMAS)


@pytest.mark.parametrize(
    ("path", "typo"),
    [
        (["spec"], "submisionMode"),
        (["spec"], "activeDeadline"),
        (["spec", "rayClusterSpec"], "authOption"),
        (["spec", "rayClusterSpec", "headGroupSpec"], "rayStartParam"),
        (["spec", "rayClusterSpec", "workerGroupSpecs", 0], "replica"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_key_of_a_manifest_that_kuberay_does_not_know_is_found_out(path, typo):
    job = copy.deepcopy(one("base", "RayJob", "nightjar-night"))
    branch = job
    for key in path:
        branch = branch[key]
    branch[typo] = "2"
    with pytest.raises(jsonschema.ValidationError, match=typo):
        jsonschema.validate(job, SCHEMAS["RayJob"])


@pytest.mark.parametrize("kustomization", NIGHTS)
def test_one_night_at_a_time_begins_in_its_time_zone_or_late_and_ends_before_the_next(kustomization):
    spec = one(kustomization, "CronJob", "nightjar-nightly")["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["timeZone"]
    assert spec["startingDeadlineSeconds"] >= 3600
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] < 86_400


def test_a_lost_pod_of_the_schedule_is_made_again_and_one_that_said_no_is_not():
    rules = one("base", "CronJob", "nightjar-nightly")["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    assert [rule["action"] for rule in rules] == ["Ignore", "FailJob"]


def test_jobs_of_ray_survive_their_log_are_ended_and_keep_strangers_out():
    jobs = [job for name in NIGHTS for document in rendered(name) for job in ray_jobs(document)]
    assert len(jobs) == 5  # one of each overlay but existing-cluster, which has none, and that of the RayCronJob
    for job in jobs:
        assert job["submissionMode"] == "HTTPMode"
        assert job["shutdownAfterJobFinishes"]
        assert 0 < job["preRunningDeadlineSeconds"] < job["activeDeadlineSeconds"]
        assert job["backoffLimit"] > 0
        cluster = job["rayClusterSpec"]
        assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
        assert cluster["authOptions"] == {"mode": "token"}


@pytest.mark.parametrize("kustomization", NIGHTS)
def test_a_worker_that_is_taken_away_has_time_to_tell_its_ranks(kustomization):
    for job in (job for document in rendered(kustomization) for job in ray_jobs(document)):
        for group in job["rayClusterSpec"]["workerGroupSpecs"]:
            pod = group["template"]["spec"]
            (container,) = pod["containers"]
            program, at_most, *command, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
            assert (program, command) == ("timeout", ["python", "/opt/hooks/drain.py"])
            assert int(seconds) < int(at_most) <= pod["terminationGracePeriodSeconds"] - 30  # what Ray itself takes
            assert "drain.py" in one(kustomization, "ConfigMap", "nightjar-hooks")["data"]


def test_the_rayjob_to_copy_is_suspended_and_those_of_the_raycronjob_run():
    assert one("overlays/raycronjob", "RayJob", "nightjar-night")["spec"]["suspend"]
    cron_job = one("overlays/raycronjob", "RayCronJob", "nightjar-nightly")["spec"]
    assert not cron_job["suspend"]
    assert not cron_job["jobTemplate"]["suspend"]
    assert one("overlays/raycronjob", "CronJob", "nightjar-nightly")["spec"]["suspend"]  # else there were two a night


def test_the_schedule_may_make_rayjobs_and_look_at_them_and_nothing_else():
    roles = [document for name in KUSTOMIZATIONS for document in rendered(name) if document["kind"].endswith("Role")]
    assert {str(role["rules"]) for role in roles} == {
        "[{'apiGroups': ['ray.io'], 'resources': ['rayjobs'], 'verbs': ['get', 'create']}]"
    }
    mounted = {
        (template["spec"].get("serviceAccountName"), template["spec"]["automountServiceAccountToken"])
        for name in KUSTOMIZATIONS
        for document in rendered(name)
        for template in pod_templates(document)
    }
    assert {account for account, is_mounted in mounted if is_mounted} == {"nightjar-schedule"}
    assert not [document for document in rendered("overlays/existing-cluster") if document["kind"] == "Role"]


@pytest.mark.parametrize("kustomization", KUSTOMIZATIONS)
def test_no_pod_has_more_rights_than_it_needs_or_takes_what_it_has_not_asked_for(kustomization):
    for document in rendered(kustomization):
        for template in pod_templates(document):
            pod = template["spec"]["securityContext"]
            assert pod["runAsNonRoot"]
            assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
            for container in template["spec"]["containers"]:
                assert not container["securityContext"]["allowPrivilegeEscalation"]
                assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
                assert container["resources"]["limits"]["memory"]
                assert container["resources"]["requests"]["memory"]


def test_nobody_reaches_ray_but_its_nodes_the_operator_and_who_submits():
    policy = one("overlays/cpu", "NetworkPolicy", "nightjar-ray")["spec"]
    assert policy["podSelector"] == {"matchLabels": {"ray.io/is-ray-node": "yes"}}
    nodes, submitters = policy["ingress"]
    assert nodes["from"] == [{"podSelector": {"matchLabels": {"ray.io/is-ray-node": "yes"}}}]
    assert [port["port"] for port in submitters["ports"]] == [8265]
    submitting = submitters["from"][1]["podSelector"]["matchLabels"]
    for name in NIGHTS:
        schedule = next(pod_templates(one(name, "CronJob", "nightjar-nightly")))["metadata"]["labels"]
        assert submitting.items() <= schedule.items()


@pytest.mark.parametrize("kustomization", NIGHTS)
def test_what_pods_mount_and_take_from_the_namespace_is_there(kustomization):
    """But for the Secrets, which nobody keeps in a repository."""
    there = {document["metadata"]["name"] for document in rendered(kustomization) if document["kind"] == "ConfigMap"}
    wanted = set()
    for document in rendered(kustomization):
        for template in pod_templates(document):
            wanted |= {volume["configMap"]["name"] for volume in template["spec"]["volumes"] if "configMap" in volume}
            mounts = {
                mount["name"] for container in template["spec"]["containers"] for mount in container["volumeMounts"]
            }
            assert mounts == {volume["name"] for volume in template["spec"]["volumes"]}
    for container in containers(kustomization):
        sources = container.get("envFrom", [])
        wanted |= {source["configMapRef"]["name"] for source in sources if "configMapRef" in source}
    assert wanted <= there


def test_no_secret_stands_in_a_manifest():
    for name in KUSTOMIZATIONS:
        assert not [document for document in rendered(name) if document["kind"] == "Secret"]
        for container in containers(name):
            for variable in container.get("env", []):
                if re.search("password|secret|token|key|uri", variable["name"], re.IGNORECASE):
                    assert "value" not in variable, variable


def test_the_config_of_the_pods_is_one_and_leaves_a_cpu_to_the_reader():
    config = load(TrainConfig, CONFIG / "nightly.yaml")
    # As compose has it, too: what is named by host is named alike.
    assert config.work_uri.startswith("s3://")
    assert config.mlflow.tracking_uri == "http://mlflow:5000"
    (workers,) = one("overlays/cpu", "RayJob", "nightjar-night")["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    (container,) = workers["template"]["spec"]["containers"]
    assert config.cluster.num_workers == workers["replicas"]
    assert config.cluster.cpus_per_worker + 1 <= int(container["resources"]["requests"]["cpu"])
    sent = one("overlays/cpu", "ConfigMap", "nightjar-config")["data"]
    assert sent == {file.name: file.read_text() for file in CONFIG.iterdir()}


def test_the_feature_spec_of_the_pods_is_that_of_the_logs_that_generate_writes():
    ours = KUBERNETES.parents[1] / "jobs/configs/synthetic_features.yaml"
    specs = [FeatureSpec.model_validate(yaml.safe_load(file.read_text())) for file in (CONFIG / "features.yaml", ours)]
    assert specs[0] == specs[1]
