"""The champion that a candidate has to beat, and whether the two can be compared at all."""

from collections.abc import Collection
from dataclasses import dataclass

from pipeline.data import logs
from pipeline.data.target import in_words
from pipeline.data.unknown_classes import UnknownClass
from pipeline.profiles import class_check
from pipeline.registry import model_uri, versions
from pipeline.registry.bundle import Bundle
from pipeline.registry.tracking import Tracking
from pipeline.registry.versions import Version
from pipeline.retrain.dataset import Inputs
from pipeline.scoring.held_out import HeldOut, score_held_out
from schemas.config import TrainConfig
from schemas.errors import Refusal
from schemas.features import FeatureSpec
from schemas.redaction import redacted


@dataclass(frozen=True, slots=True)
class Opponent:
    """The champion that a candidate has to beat, and what it makes of the held-out rows."""

    version: Version | None = None
    bundle: Bundle | None = None
    held_out: HeldOut | None = None
    why_not: str = ""
    """Why it cannot be compared with, where it cannot."""
    unknown_classes: tuple[UnknownClass, ...] = ()
    """Held-out rows of which it says nothing."""

    @classmethod
    def find(cls, config: TrainConfig, inputs: Inputs, tracking: Tracking, keys: Collection[str]) -> "Opponent":
        """The champion, or the one before it where a retrain of these `keys` has become champion already, scored."""
        version = versions.to_beat(tracking, config.mlflow.registered_model, keys)
        return (
            cls()
            if version is None
            else cls.scored(version, model_uri.load_bundle(tracking, version.uri), config, inputs)
        )

    @staticmethod
    def require_same_target(config: TrainConfig, tracking: Tracking, keys: Collection[str]) -> None:
        """Raise Refusal as `check_target` does, of the champion that `find` would find; its weights are not read."""
        version = versions.to_beat(tracking, config.mlflow.registered_model, keys)
        if version is not None:
            check_target(version, model_uri.contents_of(tracking, version.uri).features, config)

    @classmethod
    def scored(cls, version: Version, bundle: Bundle, config: TrainConfig, inputs: Inputs) -> "Opponent":
        """With what it makes of the held-out rows, or why it cannot make anything of them."""
        try:
            _check_comparable(bundle, config, inputs)
            if bundle.spec.objective == "multiclass":  # rows of a class that it does not know are refused, if many
                held_out = inputs.manifest.of_days(inputs.test_days)
                unknown = class_check.unknown_classes(held_out, config.data, bundle.vocabulary.classes)
                return cls(version, bundle, _held_out_of(bundle, config, inputs), unknown_classes=unknown)
        except Refusal as refusal:
            return cls(version, bundle, why_not=f"{version.uri} cannot score this log: {redacted(refusal.found)}")
        return cls(version, bundle, _held_out_of(bundle, config, inputs))

    def differs_from(self, candidate: Bundle) -> str:
        """Why the two are not compared: they tell other classes apart. Empty where they tell the same."""
        if self.bundle is None or self.version is None:
            return ""
        own, its = self.bundle.vocabulary.classes, candidate.vocabulary.classes
        if own == its:
            return ""
        lacks, knows = (in_words(tuple(sorted(more))) for more in ({*its} - {*own}, {*own} - {*its}))
        words = " and ".join([*([f"lacks {lacks}"] if lacks else []), *([f"knows {knows}"] if knows else [])])
        return (
            f"{self.version.uri} tells other classes apart than the candidate: it {words}; "
            "another mlflow.registered_model begins anew"
        )


def check_target(champion: Version, spec: FeatureSpec, config: TrainConfig) -> None:
    """Raise Refusal where the champion tells another label, or tells it as another objective.

    No candidate of the config could then be held against it, however long it is trained.
    """
    own = config.data.features
    if (spec.label, spec.objective) != (own.label, own.objective):
        raise Refusal(
            found=f"champion {champion.uri}, whose label is {spec.label!r}, of the objective {spec.objective}",
            expected=f"one that can be held against models of {own.label!r}, of the objective {own.objective}",
            where="data.features.label, data.features.objective",
            remedy="set mlflow.registered_model to another name: models of this label begin anew under it, and this "
            "champion goes on to serve",
        )


def _check_comparable(bundle: Bundle, config: TrainConfig, inputs: Inputs) -> None:
    """Raise Refusal where the bundle cannot score the log's held-out rows as the candidate will."""
    spec, own = bundle.spec, config.data.features
    for role in ("label", "objective", "weight", "group"):
        if getattr(spec, role) != getattr(own, role):
            raise Refusal(
                found=f"its {role} is {getattr(spec, role)!r}, this log's {getattr(own, role)!r}",
                expected="models of the same label, objective, weight and group",
                where="data.features",
                remedy="compare models of one feature spec",
            )
    logs.find(config.data, inputs.test_days, spec, labelled=False)


def _held_out_of(bundle: Bundle, config: TrainConfig, inputs: Inputs) -> HeldOut:
    return score_held_out(bundle, inputs.manifest, config.data, inputs.split, config.night.gate.slices)
