"""`nightjar export --to onnx`: a folder of a graph and of what says how to call it, complete as it comes to be.

model.onnx        from the log's columns to the probability of a click
model.onnx.data   the table of embeddings, where the graph's own file has no room for it
model.json        names, types and shapes of what goes in and comes out, how it was checked, and an example
"""

from collections.abc import Collection
from dataclasses import asdict

from pipeline.export import place
from pipeline.export.card import Card, Example, Given, Taken, example_rows
from pipeline.export.check import Session, check
from pipeline.export.exportable import require_exportable
from pipeline.export.graph import EXTERNAL_FILE
from pipeline.export.inputs import feeds, in_json, inputs_of, output_name
from pipeline.export.onnx_graph import graph_of, output_shape
from pipeline.registry.bundle import Bundle

GRAPH, CARD = "model.onnx", "model.json"


def export(bundle: Bundle, model_uri: str, out_uri: str, integers: Collection[str]) -> Card:
    """Write the files into the folder `out_uri`, once they were held against the bundle.

    `integers`: categories that are sent as such, and not as text. Raises Refusal for a model that no such file can
    hold, Failure where it says something else than the bundle.
    """
    require_exportable(bundle.vocabulary, integers)
    with place.folder(out_uri) as folder:
        graph, external = graph_of(bundle, integers)
        (folder / GRAPH).write_bytes(graph.SerializeToString())
        opsets = {one.domain or "ai.onnx": one.version for one in graph.opset_import}
        del graph
        if external:
            with (folder / EXTERNAL_FILE).open("wb") as file:
                for array in external:
                    array.tofile(file)
        session = Session(folder / GRAPH, bundle, integers)
        checked = check(session, bundle, integers)
        rows, target = example_rows(bundle.vocabulary, integers), bundle.vocabulary.target
        given = output_name(target.objective)
        written = Card(
            model=model_uri,
            identity=bundle.contents.origin.identity,
            opsets=opsets,
            files={path.name: path.stat().st_size for path in sorted(folder.iterdir())},
            inputs=tuple(Taken(**asdict(one)) for one in inputs_of(bundle.spec, integers)),
            outputs=(Given(name=given, shape=output_shape(target), columns=target.classes),),
            checked=checked,
            example=Example(
                inputs=in_json(feeds(rows, bundle.spec, integers)),
                outputs={given: session.run(rows).tolist()},
            ),
        )
        (folder / CARD).write_text(written.model_dump_json(indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
    return written
