"""Whether every node of a cluster finds the MLflow that this process finds: rank 0, which logs, may be on any."""

from collections.abc import Mapping
from dataclasses import dataclass

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
        if server.find(derived(self.config, tracking_uri=self.uri), "") is None:
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
