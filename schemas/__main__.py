"""`python -m schemas` writes schemas/json, for editors: add `# yaml-language-server: $schema=...` to a config."""

import json
from pathlib import Path

from schemas.config import TrainConfig
from schemas.features import FeatureSpec
from schemas.sweep import SweepConfig

JSON_DIR = Path(__file__).parent / "json"


def json_schemas() -> dict[str, str]:
    """File name -> contents of every JSON Schema."""
    train_config = TrainConfig.model_json_schema()
    # A YAML file may name the spec's own file instead: schemas.loading reads it in before pydantic checks.
    features = train_config["$defs"]["DataConfig"]["properties"]["features"]
    features["anyOf"] = [{"type": "string"}, {"$ref": features.pop("$ref")}]
    schemas = {
        "train_config.json": train_config,
        "sweep_config.json": SweepConfig.model_json_schema(),
        "feature_spec.json": FeatureSpec.model_json_schema(),
    }
    return {name: json.dumps(schema, indent=2) + "\n" for name, schema in schemas.items()}


def main() -> None:
    JSON_DIR.mkdir(exist_ok=True)
    for name, text in json_schemas().items():
        (JSON_DIR / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
