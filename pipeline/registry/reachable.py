"""Whether every node of a cluster finds the MLflow that this process finds: a driver, which logs, may be on any."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.registry import server
from pipeline.runtime.check import Check, Node, told
from schemas.checking import derived
from schemas.config import MLflowConfig
from schemas.errors import Refusal
from schemas.redaction import redacted


@dataclass
class Reachable(Check):
    """MLflow answers every node, by the name that this process calls it, and lets it in."""

    config: MLflowConfig
    uri: str
    """As resolved here: a node's own environment may name another."""

    @property
    def where(self) -> str:
        return f"mlflow.tracking_uri: {redacted(self.uri)}"

    @property
    def matters_here(self) -> bool:
        """It takes a node a second or two to import MLflow."""
        return False

    def on_node(self, node_id: str) -> None:
        path = server.database_of(self.uri)
        if path is None:
            server.find(derived(self.config, tracking_uri=self.uri), "")
        elif not path.is_file():  # which this process has found whole
            raise Refusal(found="no such database there", expected="", where=self.where, remedy="")

    def refusal(self, amiss: Mapping[Node, str]) -> Refusal:
        found = told(amiss)
        otherwise = (
            "let the nodes reach it by that name: they are told no other"
            if self.uri.startswith("http")
            else "start a tracking server, and name that: a file is no database for several machines"
        )
        return Refusal(
            found=redacted(found),
            expected="MLflow to answer every node of the cluster",
            where=self.where,
            remedy=server.remedy_of(found) or otherwise,
        )


@dataclass
class ArtifactsKept(Check):
    """Every node writes an artifact, reads it back and removes it, where the experiment keeps its runs' artifacts."""

    config: MLflowConfig
    uri: str

    @property
    def where(self) -> str:
        return f"the artifact store of MLflow at {redacted(self.uri)}"

    def on_node(self, node_id: str) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        with server.impatience(), tempfile.TemporaryDirectory() as name:
            client = server.open_client(self.uri)
            # What is not recorded yet has no place of its own, but it will lie beside that of the first experiment.
            kept = client.get_experiment_by_name(self.config.experiment) or client.get_experiment("0")
            store = get_artifact_repository(f"{kept.artifact_location}/nightjar-doctor", tracking_uri=self.uri)
            written = Path(name, node_id)
            written.write_text(node_id)
            store.log_artifact(str(written))
            read = Path(store.download_artifacts(node_id, name + "/"))
            if read.read_text() != node_id:
                raise Refusal(found="what was written is not what is read", expected="", where=self.where, remedy="")
            store.delete_artifacts(node_id)

    def refusal(self, amiss: Mapping[Node, str]) -> Refusal:
        found = redacted(told(amiss))
        return Refusal(
            found=found,
            expected="an artifact that every node writes and reads",
            where=self.where,
            remedy=server.remedy_of(found)
            or "let the server pass artifacts on (--artifacts-destination), or give every node credentials for them",
        )
