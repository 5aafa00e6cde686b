"""The names of all tags that runs, models, versions and experiments have in MLflow, ours and its own."""

MAX_TAG_CHARACTERS = 5000  # of a version's, a limit of MLflow's API

# What a run is and has come to.
IDENTITY = "nightjar.identity"
KIND = "nightjar.kind"
STAGE = "nightjar.stage"
OUTCOME = "nightjar.outcome"
BEST_STAGE = "nightjar.best_stage"
BEST_TRIAL = "nightjar.best_trial"
DATE = "nightjar.date"
START = "nightjar.start"
UNKNOWN_COLUMNS = "nightjar.unknown_columns"
UNKNOWN_CLASSES = "nightjar.unknown_classes"
NEW_FIELDS = "nightjar.new_fields"  # that the model which it starts from does not know
TIMEZONE = "nightjar.timezone"  # that its days are in
SERVES = "nightjar.serves"  # which version served when the run had ended
PART_OF = "nightjar.part_of"  # what the parent run is called
VALUES = "nightjar.values"  # what was drawn for a trial

# What a version of the registered model is and what the gate has found.
KEY = "nightjar.key"
BUNDLE = "nightjar.bundle_sha256"  # of its bundle.json, which holds the hashes of all its other files
COLUMNS = "nightjar.columns"  # what it reads of a row, which MLflow's own signature does not say
OBJECTIVE = "nightjar.objective"  # where it is another than clicks
VERDICT = "nightjar.verdict"
DECISION = "nightjar.decision"
FAILED_RULES = "nightjar.failed_rules"
REFRESHED_FROM = "nightjar.refreshed_from"
HISTORY = "nightjar.history"  # of a registered model: when which version was made champion, as JSON
DESCRIBED = "nightjar.described"  # the digest of the description that Nightjar wrote last
LIES_IN = "nightjar.lies_in"  # the folder of a stage that was not registered

# MLflow's own, which its pages and queries go by.
PARENT = "mlflow.parentRunId"
NOTE = "mlflow.note.content"  # shown as the run's description
RUN_NAME = "mlflow.runName"
USER = "mlflow.user"
SOURCE_NAME = "mlflow.source.name"
SOURCE_TYPE = "mlflow.source.type"
COMMIT = "mlflow.source.git.commit"
CONTEXT = "mlflow.data.context"  # of a dataset: training, validation or evaluation
MODEL_VERSIONS = "mlflow.modelVersions"
EXTERNAL = "mlflow.model.isExternal"  # of a model whose files are not MLflow's
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
