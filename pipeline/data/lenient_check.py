"""Which columns of fields begin in the midst of a log, by the footers of its files.

A label, a key or a group is never taken for missing, nor is a column that has gone: only what older files lack and
every newer one has.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from pipeline.data.late_columns import LateColumn
from pipeline.data.log_listing import Check, LogListing
from pipeline.data.manifest import Manifest
from schemas.click_log import perhaps_renamed
from schemas.data import DataConfig
from schemas.errors import Refusal
from schemas.features import FeatureSpec


@dataclass(frozen=True, slots=True)
class LenientCheck:
    """Checks the schema of each file as if it had the `optional` columns, and keeps those that lack one."""

    strict: Check
    optional: Collection[str]
    known: Collection[str]
    """Of the file's columns, those of which it is known what they are: any other may be one that was renamed."""
    lacking: dict[str, pa.Schema] = field(default_factory=dict)
    """By the file."""

    def __call__(self, schema: pa.Schema, *, where: str) -> tuple[str, ...]:
        others = [name for name in schema.names if name not in self.known]
        absent = [name for name in self.optional if name not in schema.names and not perhaps_renamed(name, others)]
        if absent:
            self.lacking[where] = schema
        return self.strict(_with(schema, absent), where=where)

    def lacks(self, uri: str, name: str) -> bool:
        return uri in self.lacking and name not in self.lacking[uri].names

    def refuse(self, uri: str, name: str) -> None:
        """Raise the Refusal of a file that lacks this column, whichever else it lacks."""
        others = [one for one in self.optional if one != name and self.lacks(uri, one)]
        self.strict(_with(self.lacking[uri], others), where=uri)


def optional_columns(data: DataConfig, spec: FeatureSpec) -> tuple[str, ...]:
    """Those that play no role but a field's."""
    roles = {spec.label, spec.weight, spec.group, spec.row_key, getattr(data.split, "row_key", None)}
    return tuple(name for name in spec.feature_columns if name not in roles)


def find(manifest: Manifest, listing: LogListing, check: LenientCheck) -> tuple[LateColumn, ...]:
    """Which columns begin behind which files. Raises Refusal for a file that lacks what one before it has.

    So it does where no file has the column, those of the log's newest day included.
    """
    if not check.lacking:
        return ()
    files = sorted(manifest.files, key=lambda one: one.day)
    late: set[LateColumn] = set()
    for name in check.optional:
        begins = next((place for place, file in enumerate(files) if not check.lacks(file.uri, name)), None)
        lacking = [place for place, file in enumerate(files) if check.lacks(file.uri, name)]
        behind = lacking if begins is None else [place for place in lacking if place > begins]
        if behind and (begins is not None or not _begins_later(name, manifest, listing)):
            check.refuse(files[behind[0]].uri, name)
        late |= {LateColumn(files[place].day, name) for place in lacking}
    return tuple(sorted(late))


def _with(schema: pa.Schema, names: Iterable[str]) -> pa.Schema:
    return pa.schema([*schema, *(pa.field(name, pa.null()) for name in names)])


def _begins_later(name: str, manifest: Manifest, listing: LogListing) -> bool:
    """Whether the log's newest day has the column, if that is none of the manifest's."""
    newest, found = listing.days[-1], set[str]()
    if newest in manifest.days:
        return False

    def note(schema: pa.Schema, *, where: str) -> tuple[str, ...]:
        found.update(schema.names)
        return ()

    try:
        listing.read([newest], note)
    except Refusal:  # of a day that nobody has asked for
        return False
    return name in found
