"""The names of all tags that runs, models, versions and experiments have in MLflow, ours and its own."""

# What a run is and has come to.
IDENTITY = "nightjar.identity"
STAGE = "nightjar.stage"
OUTCOME = "nightjar.outcome"
BEST_STAGE = "nightjar.best_stage"
BEST_TRIAL = "nightjar.best_trial"
DATE = "nightjar.date"
START = "nightjar.start"
UNKNOWN_COLUMNS = "nightjar.unknown_columns"

# What a version of the registered model is and what the gate has found.
KEY = "nightjar.key"
BUNDLE = "nightjar.bundle_sha256"  # of its bundle.json, which holds the hashes of all its other files
VERDICT = "nightjar.verdict"
DECISION = "nightjar.decision"
FAILED_RULES = "nightjar.failed_rules"
REFRESHED_FROM = "nightjar.refreshed_from"

# MLflow's own, which its pages and queries go by.
PARENT = "mlflow.parentRunId"
NOTE = "mlflow.note.content"  # shown as the run's description
RUN_NAME = "mlflow.runName"
USER = "mlflow.user"
MODEL_VERSIONS = "mlflow.modelVersions"
PRIMARY_METRIC = "mlflow.experiment.primaryMetric.name"
EXPERIMENT_KIND = "mlflow.experimentKind"
SHARED_VIEW = "mlflow.sharedViewState."  # and the view's key


def of_setting(name: str) -> str:
    """The tag of what a stage was computed by: kernel, precision, placement, threads."""
    return f"nightjar.{name}"


def has(tag: str, value: str) -> str:
    """MLflow's filter of the runs, models and versions that have the tag with that value."""
    return f"tags.`{tag}` = {quoted(value)}"


def quoted(value: str) -> str:
    """A text in a filter of MLflow's, whose grammar knows no escapes. Raises ValueError for one with both quotes."""
    quotes = [quote for quote in ("'", '"') if quote not in value]
    if not quotes:
        raise ValueError(f"{value!r} has both quotes")
    return f"{quotes[0]}{value}{quotes[0]}"
