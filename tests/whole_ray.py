"""A script: waits until Ray takes the nodes of the addresses told for alive, no others, and all CPUs are free."""

import sys
import time

import ray

SECONDS = 90


def is_whole(addresses: list[str]) -> bool:
    alive = sorted(node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"])
    return alive == sorted(addresses) and ray.available_resources().get("CPU") == ray.cluster_resources().get("CPU")


if __name__ == "__main__":
    ray.init(logging_level="ERROR", log_to_driver=False)
    until = time.monotonic() + SECONDS
    while not is_whole(sys.argv[1:]):
        if time.monotonic() > until:
            sys.exit(f"{ray.nodes()}\n{ray.available_resources()} of {ray.cluster_resources()}")
        time.sleep(0.2)
