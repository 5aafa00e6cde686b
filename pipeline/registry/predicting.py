"""The sources that decide what a model says of encoded rows, told without importing them, and torch with them."""

PREDICTING = (
    "schemas/config.py",
    "schemas/layers.py",
    "schemas/night.py",
    "schemas/optimization.py",
    "schemas/plan.py",
    "schemas/stage.py",
    "schemas/transfer.py",
    "pipeline/embedding",
    "pipeline/models",
    "pipeline/evaluation",
    "pipeline/registry/bundle.py",
    "pipeline/registry/bundle_format.py",
    "pipeline/registry/predicting.py",
    "pipeline/registry/weights.py",
)
