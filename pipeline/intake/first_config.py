"""The feature spec and the config of a log that was imported, written beside it, unless they are there."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.intake import draft, known_spec, look
from pipeline.intake.column import Column
from pipeline.intake.draft import Described, features_path
from pipeline.intake.formats.form import Format
from pipeline.intake.look import Looked
from pipeline.intake.proposed import Told
from pipeline.runtime import files, writable
from schemas.checking import validate
from schemas.features import FeatureSpec
from schemas.yaml_text import parse

VERB = "import"


@dataclass(frozen=True, slots=True)
class Written:
    """Which of the two were written now, and which were there and stay as they are."""

    config: Path
    new: tuple[Path, ...]
    old: tuple[Path, ...]


def write(form: Format, logs_uri: str) -> Written:
    """Look at what was imported, and write what trains on it.

    Raises Refusal, with nothing written, where it can't be made out, as nobody may have said which is CSV's label, and
    where nothing can be written beside the log.
    """
    config = place_of(form, logs_uri)
    both = (features_path(config), config)
    new = tuple(path for path in both if not path.exists())
    if new:
        writable.require(str(config), "the config", "file")
        looked = look.look(logs_uri)
        columns = _known(form, looked) or draft.described(looked, looked.proposed(Told(form.label)), VERB)
        written = draft.write_up(looked, columns, config, VERB)
        texts = dict(zip(both, (written.features, written.config), strict=True))
        for path in new:
            files.write_bytes(str(path), texts[path].encode())
    return Written(config, new, tuple(path for path in both if path not in new))


def place_of(form: Format, logs_uri: str) -> Path:
    """The config's: beside the log, or here where that is remote.

    It is called as the format, or as the log where that has no columns of its own; `my.yaml` of `my_logs`, which is
    what a config for CSV calls the log that it is for.
    """
    log = logs_uri.rpartition("/")[2]
    name = form.name if form.spec else log.removesuffix(draft.IMPORTED) or log
    return (Path.cwd() if files.is_remote(logs_uri) else Path(logs_uri).parent) / f"{name}.yaml"


def _known(form: Format, looked: Looked) -> Described | None:
    """What is known of the format's columns; None where these are the user's own."""
    if form.spec is None:
        return None
    text = known_spec.text(form.spec, looked.sample.total_rows)
    spec = validate(FeatureSpec, parse(text, form.name, ""), form.name)
    labels = Column(spec.label, looked.sample.rows.column(spec.label))
    return Described(spec, text, float(labels.numbers_or_booleans.mean()))
