"""A script of its own, which `address` runs: what Ray says of a cluster at an address, as one line of JSON.

Ray's client ends its process where a token is missing, and tries for minutes where nobody answers: here it may. Nothing
of Nightjar's is imported.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import ray
from ray._common.usage import usage_lib
from ray._private import services, utils
from ray._raylet import GcsClient  # type: ignore[attr-defined]  # which is compiled
from ray.exceptions import AuthenticationError

NODE_SECONDS = 3  # in which a node of this machine is found, if there is one


def ask(address: str) -> dict[str, Any]:
    """`trouble` is empty where a driver can begin: none_found, invalid, token, silent, versions, no_node."""
    try:
        found = services.canonicalize_bootstrap_address(address)
    except ConnectionError:
        return {"trouble": "none_found"}
    except ValueError as error:
        return {"trouble": "invalid", "words": str(error)}
    try:
        client = GcsClient(address=found)
        started_with = usage_lib.get_cluster_metadata(client) or {}
    except AuthenticationError as error:
        return {"trouble": "token", "words": str(error)}
    except ray.exceptions.RayError as error:
        return {"trouble": "silent", "words": str(error)}
    try:
        utils.check_version_info(started_with, "this machine")
    except RuntimeError:
        return {"trouble": "versions", "ray": started_with["ray_version"], "python": started_with["python_version"]}
    try:
        node = services.get_node_to_connect_for_driver(client, timeout_seconds=NODE_SECONDS)
    except RuntimeError as error:
        return {"trouble": "no_node", "words": str(error)}
    return {"trouble": "" if Path(node.raylet_socket_name).exists() else "no_node"}


if __name__ == "__main__":
    os.close(int(sys.argv[2]))  # by which the asking process knows that Ray is imported
    sys.stdout.write(json.dumps(ask(sys.argv[1])))
