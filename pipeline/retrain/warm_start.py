"""The registered model that a retrain starts from: found, held against the config, and laid out for the ranks."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from pipeline.data.vocabulary import Vocabulary
from pipeline.models.more_fields import over_fields
from pipeline.registry import model_uri
from pipeline.registry.bundle import Bundle
from pipeline.registry.tracking import Tracking
from pipeline.runtime import files
from pipeline.training import checkpoint, kept, published
from schemas.checking import derived
from schemas.config import TrainConfig
from schemas.errors import Refusal
from schemas.features import FeatureSpec


def pinned(config: TrainConfig, tracking: Tracking) -> TrainConfig:
    """With the versions that aliases name now: a run is named by what it starts from."""
    pins = [
        derived(stage, init_from=model_uri.pinned(tracking, stage.init_from))
        if stage.init_from and stage.starts_from_model
        else stage
        for stage in config.stages
    ]
    return derived(config, stages=tuple(pins))


def load(config: TrainConfig, tracking: Tracking) -> dict[str, Bundle]:
    """URI -> bundle. Raises Refusal for one that these rows cannot be trained on from, with both sides shown."""
    uris = dict.fromkeys(stage.init_from for stage in config.stages if stage.init_from and stage.starts_from_model)
    bundles = {uri: model_uri.load_bundle(tracking, uri) for uri in uris}
    for uri, bundle in bundles.items():
        check(uri, bundle, config)
    for stage in config.stages:
        if stage.init_from in bundles:
            stage.check_layers(bundles[stage.init_from].stage, stage.init_from)
    fingerprints = {uri: bundle.vocabulary.fingerprint for uri, bundle in bundles.items()}
    if len(set(fingerprints.values())) > 1:
        raise Refusal(
            found=", ".join(f"{uri} with vocabulary {fingerprint}" for uri, fingerprint in fingerprints.items()),
            expected="models of one vocabulary: a run has one table of ids",
            where="stages.*.init_from",
            remedy="start all stages from models of the same run",
        )
    return bundles


def vocabulary_of(bundles: Mapping[str, Bundle]) -> Vocabulary | None:
    """What the run's vocabulary is grown from; None where no stage starts from a registered model."""
    return next((bundle.vocabulary for bundle in bundles.values()), None)


def new_fields(known: FeatureSpec, spec: FeatureSpec) -> tuple[str, ...]:
    """Those of the spec that a model of the known one has never seen."""
    return tuple(name for name in spec.feature_columns if name not in known.feature_columns)


def in_words(new: Sequence[str]) -> str:
    """What becomes of new fields; empty where there are none."""
    return f"new fields: the rows of {', '.join(new)} start fresh, all others go on" if new else ""


def lay_out(bundles: Mapping[str, Bundle], run_uri: str, spec: FeatureSpec) -> None:
    """Each as a published stage over the fields of the spec, from which the ranks start theirs."""
    for uri, bundle in bundles.items():
        target = published.stage_uri(run_uri, published.origin_name(uri))
        if kept.stage(target):
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            table = bundle.table
            if bundle.stage.embedding.name != "adagrad":  # Adam's mean of squares is no learning rate of a row
                table = replace(table, accumulators=torch.zeros_like(table.accumulators))
            places = [spec.feature_columns.index(name) for name in bundle.spec.feature_columns]
            tensors = over_fields(bundle.model, places, len(spec.fields))
            checkpoint.save_origin(bundle.stage.name, bundle.stage.batch_size, table, tensors, folder)
            for file in sorted(folder.iterdir()):
                files.write_bytes(f"{target}/{file.name}", file.read_bytes())
        published.publish(target)


def check(uri: str, bundle: Bundle, config: TrainConfig) -> None:
    """Raise Refusal for a model of another dimension, or of a field that the config has not so, with both shown."""
    own, its = config.table.dimension, bundle.contents.table.dimension
    if own != its:
        raise Refusal(
            found=f"{uri}, whose table has dimension {its}",
            expected=f"dimension {own}, as this config's table",
            where="stages.*.init_from, table.dimension",
            remedy=f"set table.dimension to {its}, or start from another model",
        )
    objective, its_objective = config.data.features.objective, bundle.spec.objective
    if objective != its_objective:
        raise Refusal(
            found=f"{uri}, whose objective is {its_objective}",
            expected=f"a model of {objective}, as this config's feature spec has it",
            where="stages.*.init_from, data.features.objective",
            remedy="start from no model, or from another one",
        )
    fields, its_fields = config.data.features.fields, bundle.spec.fields
    lost = [field.name for field in its_fields if field not in fields]
    if lost:
        raise Refusal(
            found=f"{uri}, trained on the fields {', '.join(field.name for field in its_fields)}",
            expected=f"all of them among the fields {', '.join(field.name for field in fields)}, encoded alike; these "
            f"are not, or otherwise: {', '.join(lost)}",
            where="stages.*.init_from, data.features",
            remedy="leave its fields as they are, or start from no model; fields may be added, in any order",
        )
