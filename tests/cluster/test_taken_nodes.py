"""A node that Kubernetes takes away: what its pod runs before it is ended."""

import json
import shutil

import pytest
from box import Box, ray_cluster
from manifests import KUBERNETES

pytestmark = pytest.mark.cluster

NODES = """
import json, ray
ray.init(logging_level="ERROR", log_to_driver=False)
print(json.dumps({node["NodeManagerAddress"]: node["DeathReasonMessage"] for node in ray.nodes() if not node["Alive"]}))
"""


def test_a_node_that_is_taken_away_tells_ray_and_leaves_within_its_time(machines: Box):
    shutil.copy(KUBERNETES / "base/drain.py", machines.shared)
    cluster = ray_cluster(machines, [1, 1], {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "of-the-cluster-0123456789"})
    env = {**cluster.env, "RAY_ADDRESS": cluster.address}
    taken = cluster.nodes[0]
    done = taken.run("python", str(machines.shared / "drain.py"), "60", env=env)
    assert (done.exit_code, done.stderr) == (0, "")
    asked = cluster.head.run("python", "-c", NODES, env=env)
    assert json.loads(asked.stdout) == {taken.address: "its pod is ended"}
    cluster.head.kill()
    left = cluster.nodes[1].run("timeout", "20", "python", str(machines.shared / "drain.py"), "15", env=env)
    assert (left.exit_code, left.stderr) == (0, ""), "with nobody to tell it does not wait"
