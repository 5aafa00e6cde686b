"""The schemas of KubeRay's kinds, as far as our manifests use them: a key that does not stand here is a typo.

After the reference of KubeRay 1.7's `ray.io/v1` (docs.ray.io, "KubeRay CRD API reference"); what a pod template may
hold is left to Kubernetes' own schemas.
"""

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string", "minLength": 1}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
SECONDS: Schema = {"type": "integer", "minimum": 1}
TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
POD: Schema = {"type": "object", "required": ["spec"]}


def closed(required: Schema, optional: Schema | None = None) -> Schema:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


HEAD = closed({"rayStartParams": TEXTS, "template": POD}, {"serviceType": TEXT, "enableIngress": FLAG})
WORKERS = closed(
    {
        "groupName": TEXT,
        "replicas": COUNT,
        "minReplicas": COUNT,
        "maxReplicas": COUNT,
        "rayStartParams": TEXTS,
        "template": POD,
    },
    {"numOfHosts": SECONDS, "idleTimeoutSeconds": COUNT},
)
CLUSTER = closed(
    {
        "rayVersion": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
        "headGroupSpec": HEAD,
        "workerGroupSpecs": {"type": "array", "items": WORKERS, "minItems": 1},
        "authOptions": closed({"mode": {"enum": ["token"]}}, {"secretName": TEXT}),
    },
    {
        "enableInTreeAutoscaling": FLAG,
        "autoscalerOptions": closed(
            {},
            {
                "version": {"enum": ["v1", "v2"]},
                "idleTimeoutSeconds": COUNT,
                "upscalingMode": {"enum": ["Default", "Aggressive", "Conservative"]},
                "resources": {"type": "object"},
                "securityContext": {"type": "object"},
            },
        ),
        "suspend": FLAG,
    },
)
JOB = closed(
    {"entrypoint": TEXT, "rayClusterSpec": CLUSTER},
    {
        "suspend": FLAG,
        "submissionMode": {"enum": ["HTTPMode", "K8sJobMode", "InteractiveMode", "SidecarMode"]},
        "preRunningDeadlineSeconds": SECONDS,
        "activeDeadlineSeconds": SECONDS,
        "backoffLimit": COUNT,
        "shutdownAfterJobFinishes": FLAG,
        "ttlSecondsAfterFinished": COUNT,
        "runtimeEnvYAML": TEXT,
        "metadata": TEXTS,
        "entrypointNumCpus": {"type": "number"},
    },
)
CRON_JOB = closed({"schedule": TEXT, "jobTemplate": JOB}, {"timeZone": TEXT, "suspend": FLAG})


def kind(name: str, spec: Schema) -> Schema:
    metadata = closed({"name": TEXT}, {"namespace": TEXT, "labels": TEXTS, "annotations": TEXTS})
    return closed({"apiVersion": {"const": "ray.io/v1"}, "kind": {"const": name}, "metadata": metadata, "spec": spec})


SCHEMAS = {
    "RayCluster": kind("RayCluster", CLUSTER),
    "RayJob": kind("RayJob", JOB),
    "RayCronJob": kind("RayCronJob", CRON_JOB),
}
