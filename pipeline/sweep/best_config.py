"""The best trial's config, as `nightjar train` takes it: the file that was given, with other values set in place."""

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from schemas.checking import derived
from schemas.config import TrainConfig
from schemas.errors import Refusal, on_one_line
from schemas.loading import applied, checked
from schemas.locations import resolve
from schemas.redaction import HIDDEN, redacted, redacted_tree
from schemas.sweep import as_overrides
from schemas.yaml_edit import edited
from schemas.yaml_text import parse


@dataclass(frozen=True, slots=True)
class Given:
    """A config as a command was given it: the text of its file, where that lies, and what is set over it."""

    text: str
    folder: Path
    overrides: tuple[str, ...]
    command: str
    """For the record."""

    @classmethod
    def read(cls, path: Path, overrides: Sequence[str], command: str) -> Self:
        """Of a file that has been loaded as a config already."""
        file = Path(os.path.expanduser(path))  # noqa: PTH111 (as `load`)
        return cls(file.read_text(encoding="utf-8"), file.absolute().parent, tuple(overrides), command)

    def best(self, values: Mapping[str, Any], came_to: str, out: Path | None = None) -> str:
        """The config under the best trial's values; the first line says by which command, and what it `came_to`.

        Its own paths stay as they are where it is to lie in the folder `out` beside the given one, and else are
        absolute, so that they hold anywhere. A secret in a URI is left out, and the second line says so.
        """
        given = parse(self.text, "the config", "")
        now = copy.deepcopy(given)
        wanted = applied(TrainConfig, copy.deepcopy(given), self.folder, [*self.overrides, *as_overrides(values)])
        config = checked(TrainConfig, wanted, "the best trial's config")
        if to_train(config) != config:
            del wanted["data"]["validation_share"]
            config = to_train(config)
        if out == self.folder:
            resolve(now, TrainConfig, self.folder, with_defaults=True)
        text = edited(self.text, _where_changed(given, now, wanted))
        if text is None or not _comes_to(config, text, out or Path("/")):
            text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
        shown = _without_secrets(text)
        told = "" if shown == text else f"# {HIDDEN} stands for a secret: give the key that holds it again, by --set\n"
        return f"# {redacted(on_one_line(f'{self.command}: {came_to}', None))}\n{told}{shown}"


def _where_changed(given: Any, now: Any, wanted: Any) -> Any:
    """What is given, where it means now what is wanted; else that."""
    if isinstance(wanted, dict) and isinstance(now, dict) and isinstance(given, dict):
        changed = {key: value for key, value in wanted.items() if key in given or key not in now or now[key] != value}
        return {key: _where_changed(given.get(key), now.get(key), value) for key, value in changed.items()}
    if isinstance(wanted, list) and isinstance(now, list) and len(wanted) == len(now):
        return [_where_changed(*three) for three in zip(given, now, wanted, strict=True)]
    return given if now == wanted else wanted


def to_train(config: TrainConfig) -> TrainConfig:
    """The config without a share of validation rows that nothing goes by but the sweep: they are trained on then."""
    needs_validation = config.calibration != "none" or any(stage.early_stop for stage in config.stages)
    if needs_validation or not config.data.validation_share:
        return config
    return derived(config, data=derived(config.data, validation_share=0.0))


def _comes_to(config: TrainConfig, text: str, folder: Path) -> bool:
    """Whether a file of that text in the folder is that config."""
    try:
        tree = applied(TrainConfig, parse(text, "the best config", ""), folder)
        return checked(TrainConfig, tree, "the best config") == config
    except Refusal:
        return False


def _without_secrets(text: str) -> str:
    """Of values and comments alike. What only a string as a whole shows to be one is looked for value by value."""
    values = yaml.safe_load(text)
    shown = redacted(text)
    if redacted_tree(values) == yaml.safe_load(shown):
        return shown
    return yaml.safe_dump(redacted_tree(values), sort_keys=False)
