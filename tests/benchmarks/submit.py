"""What a night takes longer that is submitted to a cluster than one that is run on its head, in turns; wants root.

python tests/benchmarks/submit.py --pairs 3
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import box
from night_folder import NightFolder, day


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    pairs = parser.parse_args().pairs
    shared = Path(tempfile.mkdtemp(prefix="nightjar-", dir="/var/tmp"))
    try:
        with box.opened(shared) as machines:
            cluster = _started(machines, shared)
            longer = [_pair(cluster, shared, number) for number in range(pairs)]
    finally:
        shutil.rmtree(shared, ignore_errors=True)
    print(f"submitted, a night takes {statistics.median(longer):+.1f} s (median of {pairs})")


def _started(machines: box.Box, shared: Path) -> box.RayCluster:
    NightFolder.write(shared, num_days=3, cluster={"num_workers": 1})
    return box.ray_cluster(machines, [2], has_dashboard=True)


def _pair(cluster: box.RayCluster, shared: Path, number: int) -> float:
    """Seconds that the submitted one takes longer; the two take turns at being first."""
    seconds = {}
    for place in ("in place", "submitted") if number % 2 else ("submitted", "in place"):
        name = f"{place.split()[0]}{number}"
        night = ("nightly", "--config", str(shared / "nightly.yaml"), "--date", str(day(3)))
        own = ("--set", f"work_uri={shared}/{name}", "--set", f"mlflow.registered_model={name}")
        began = time.monotonic()
        if place == "submitted":
            env = {**cluster.env, "RAY_ADDRESS": cluster.dashboard}
            command = ("nightjar", "submit", "--wait", "--shared-paths", "--", *night, *own)
            done = cluster.box.driver.run(*command, env=env)
        else:
            env = {**cluster.env, "RAY_ADDRESS": cluster.address}
            done = cluster.head.run("nightjar", *night, *own, env=env)
        seconds[place] = time.monotonic() - began
        assert done.exit_code == 0, done.stderr
    print(", ".join(f"{place} {taken:.1f} s" for place, taken in sorted(seconds.items())), flush=True)
    return seconds["submitted"] - seconds["in place"]


if __name__ == "__main__":
    main()
