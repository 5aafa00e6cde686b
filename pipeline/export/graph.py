"""A graph of ONNX, written operator by operator: each returns the name of what it gives, for the next one to take."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSETS = {"": 20, "ai.onnx.ml": 4, "com.microsoft": 1}
"""Versions of the operators, by domain: what ONNX Runtime has had since 1.17."""
IR_VERSION = 9  # of the file's own format, which goes with those
EXTERNAL_BYTES = 2**29  # a constant from here on lies in a file beside the graph's own, which ends at 2 GiB
SMALL_BYTES = 1024
EXTERNAL_FILE = "model.onnx.data"
Shape = Sequence[int | str]


class Graph:
    """Nodes in the order in which they are to be computed, and the constants that they take."""

    def __init__(self, columns: Collection[str] = ()) -> None:
        """`columns`: names that its own must differ from."""
        self.prefix = "/"
        while any(name.startswith(self.prefix) for name in columns):
            self.prefix += "/"
        self.inputs: list[ValueInfoProto] = []
        self.outputs: list[ValueInfoProto] = []
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []
        self._domains = {""}
        self.external: list[NDArray[Any]] = []
        """What the file beside it holds, one constant after another."""
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def input(self, name: str, dtype: int, shape: Shape) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, name: str, dtype: int, shape: Shape, value: str) -> None:
        """Hand `value` out under this name."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, dtype, shape))

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """The name of the operator's one output."""
        name = f"{self.prefix}{kind}_{len(self._nodes)}"
        self._add(kind, name, inputs, [name], domain, attributes)
        return name

    def split(self, value: str, parts: int, axis: int, sizes: str | None = None) -> list[str]:
        """The names of so many parts, equal ones without `sizes`."""
        name = f"{self.prefix}Split_{len(self._nodes)}"
        outputs = [f"{name}_{part}" for part in range(parts)]
        inputs, number = ([value], {"num_outputs": parts}) if sizes is None else ([value, sizes], {})
        self._add("Split", name, inputs, outputs, "", {"axis": axis, **number})
        return outputs

    def constant(self, values: Any, dtype: Any) -> str:
        """A tensor that the file holds; a small one that is there already is not written again."""
        array: NDArray[Any] = np.asarray(values, dtype)
        name = f"{self.prefix}constant_{len(self._constants)}"
        if array.nbytes >= EXTERNAL_BYTES:
            self._constants.append(self._lying_beside(name, array))
            return name
        if array.nbytes <= SMALL_BYTES:
            known = self._known.setdefault((array.dtype.str, array.shape, array.tobytes()), name)
            if known != name:
                return known
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def texts(self, values: Sequence[str]) -> str:
        """Constant texts, [n]."""
        name = f"{self.prefix}constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.array(values, object), name))
        return name

    def cast(self, value: str, dtype: int) -> str:
        return self.op("Cast", value, to=dtype)

    def _lying_beside(self, name: str, array: NDArray[Any]) -> TensorProto:
        tensor = TensorProto(name=name, dims=array.shape, data_type=helper.np_dtype_to_tensor_dtype(array.dtype))
        tensor.data_location = TensorProto.EXTERNAL
        offset = sum(before.nbytes for before in self.external)
        for key, value in {"location": EXTERNAL_FILE, "offset": offset, "length": array.nbytes}.items():
            tensor.external_data.add(key=key, value=str(value))
        self.external.append(array)
        return tensor

    def inner(self, name: str) -> "Graph":
        """An empty graph that lies within this one, whose names it sees."""
        graph = Graph()
        graph.prefix = f"{self.prefix}{name}/"
        return graph

    def loop(self, num_steps: str, state: str, body: "Graph") -> str:
        """`body`, of inputs (step, goes on, state) and outputs (goes on, state), so many times; the last state."""
        return self.op("Loop", num_steps, "", state, body=body._proto("body"))

    def model(self, description: str) -> ModelProto:
        opsets = [helper.make_opsetid(domain, OPSETS[domain]) for domain in sorted(self._domains)]
        return helper.make_model(
            self._proto("nightjar"),
            producer_name="nightjar",
            doc_string=description,
            opset_imports=opsets,
            ir_version=IR_VERSION,
        )

    def _add(
        self, kind: str, name: str, inputs: Sequence[str], outputs: Sequence[str], domain: str, own: dict[str, Any]
    ) -> None:
        self._nodes.append(helper.make_node(kind, inputs, outputs, name=name, domain=domain, **own))
        self._domains.add(domain)

    def _proto(self, name: str) -> GraphProto:
        return helper.make_graph(self._nodes, name, self.inputs, self.outputs, self._constants)
