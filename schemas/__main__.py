"""`python -m schemas` writes schemas/json, for editors, and README.md, for people."""

import json
from pathlib import Path
from typing import Any

from schemas.config import TrainConfig
from schemas.features import FeatureSpec
from schemas.page import page
from schemas.sweep import SweepConfig

FOLDER = Path(__file__).parent
JSON_DIR = FOLDER / "json"


def json_schemas() -> dict[str, dict[str, Any]]:
    """File name -> JSON Schema."""
    train_config = TrainConfig.model_json_schema()
    # A YAML file may name the spec's own file instead: schemas.loading reads it in before pydantic checks.
    features = train_config["$defs"]["DataConfig"]["properties"]["features"]
    features["anyOf"] = [{"type": "string"}, {"$ref": features.pop("$ref")}]
    return {
        "train_config.json": train_config,
        "sweep_config.json": SweepConfig.model_json_schema(),
        "feature_spec.json": FeatureSpec.model_json_schema(),
    }


def written() -> dict[str, str]:
    """Every file that is written from the models, as a path from this folder, with its contents."""
    schemas = json_schemas()
    files = {f"{JSON_DIR.name}/{name}": json.dumps(schema, indent=2) + "\n" for name, schema in schemas.items()}
    return {**files, "README.md": page(schemas)}


def main() -> None:
    for name, text in written().items():
        path = FOLDER / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
