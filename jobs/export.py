"""`nightjar export`: a model as files for runtimes and tools that know nothing of Nightjar."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.options import ModelUri
from jobs.places import typed
from schemas.config import MLflowConfig
from schemas.errors import Refusal
from schemas.locations import absolute
from schemas.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.registry.bundle import Bundle


class To(StrEnum):
    """What it becomes."""

    onnx = "onnx"
    embeddings = "embeddings"


def export(
    model: ModelUri,
    to: Annotated[To, typer.Option("--to", help="onnx: a graph that scores raw rows; embeddings: Parquet.")],
    out: Annotated[
        str, typer.Option(help="Folder or URI for onnx, file or URI for embeddings; nothing lies there yet.")
    ],
    integers: Annotated[
        list[str] | None,
        typer.Option(help="Column of categories that is sent as int64 and not as text; may be given several times."),
    ] = None,
    work: Annotated[str, typer.Option(help="Work folder of the runs, `work_uri` of their config.")] = ".nightjar",
) -> None:
    """Write a model as one file that ONNX Runtime runs from any language, or its embeddings as Parquet.

    The graph takes the log's columns as they are, unseen and missing values included. It is held against the model
    before it is put in place.

    Example: `nightjar export --model models:/ctr@champion --to onnx --out served`
    """
    from pipeline.export import extra, place

    out_uri, place_of_work = absolute(out), absolute(work)
    if to is To.onnx:
        extra.require_installed()
    elif integers:
        raise _without_inputs(integers)
    place.require_empty(out_uri, "folder" if to is To.onnx else "file")
    from pipeline.registry import model_uri

    tracking = model_uri.where_registered(model, MLflowConfig(), place_of_work)
    version = model_uri.pinned(tracking, model)
    bundle = model_uri.load_bundle(tracking, version)
    if to is To.onnx:
        _graph(bundle, version, out_uri, integers or [])
    else:
        _embeddings(bundle, version, out_uri)


def _without_inputs(integers: "Sequence[str]") -> Refusal:
    return Refusal(
        found=f"--integers {', '.join(integers)}, beside --to embeddings",
        expected="columns to be sent as integers to a graph, by --to onnx",
        where="--integers",
        remedy="leave it away: a file of embeddings takes no columns",
    )


def _embeddings(bundle: "Bundle", version: str, out_uri: str) -> None:
    from pipeline.export import embeddings

    num_rows = embeddings.export(bundle, out_uri)
    print(f"{num_rows:,} rows of {redacted(version)}, in {typed(redacted(out_uri))}")


def _graph(bundle: "Bundle", version: str, out_uri: str, integers: "Sequence[str]") -> None:
    from pipeline.export import onnx_file

    card = onnx_file.export(bundle, redacted(version), out_uri, integers)
    size = sum(card.files.values()) / 1e6
    print(f"{redacted(version)}, {size:,.1f} MB, in {typed(redacted(out_uri))}")
    checked = card.checked
    print(
        f"held against the model by ONNX Runtime {checked.onnxruntime}: {checked.largest_difference:.1g} apart at "
        f"most on {checked.rows:,} rows, {checked.allowed:g} allowed"
    )
    print(f"how to call it, and an example: {typed(redacted(out_uri) + '/' + onnx_file.CARD)}")
