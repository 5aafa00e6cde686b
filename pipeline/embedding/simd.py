"""A few floats as one LLVM vector, for kernels compiled by Numba, which by itself keeps small arrays in memory.

Needs numba (`pip install 'nightjar[fused]'`); importing this module does.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

# What a sum of floats may be changed to: another order, fused multiply and add; but nan stays nan.
REORDER = ("reassoc", "contract", "nsz", "arcp")


class Floats(types.Type):
    """So many float32, as one LLVM vector, of whatever registers the CPU has for it."""

    def __init__(self, length: int) -> None:
        self.length = length
        super().__init__(name=f"floats{length}")


@register_model(Floats)
class _FloatsModel(models.PrimitiveModel):
    def __init__(self, manager: Any, floats: Floats) -> None:
        super().__init__(manager, floats, ir.VectorType(ir.FloatType(), floats.length))


class Vectors(NamedTuple):
    """What kernels do with `length` floats at a time."""

    load: Callable[..., Any]
    """(array, row, column) -> the floats from there on."""
    store: Callable[..., Any]
    """(array, row, column, floats)"""
    full: Callable[..., Any]
    """(x) -> x, x, ..., x"""
    add: Callable[..., Any]
    subtract: Callable[..., Any]
    multiply: Callable[..., Any]
    total: Callable[..., Any]
    """(floats) -> their sum"""


@cache
def vectors(length: int) -> Vectors:
    """Numba's intrinsics are functions from argument types to a signature and a generator of LLVM code."""
    floats = Floats(length)
    vector = ir.VectorType(ir.FloatType(), length)

    @intrinsic
    def load(_: Any, array: Any, row: Any, column: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            address = _address(context, builder, signature, args, 3)
            loaded = builder.load(builder.bitcast(address, vector.as_pointer()))
            loaded.align = 4
            return loaded

        return floats(array, types.unliteral(row), types.unliteral(column)), code

    @intrinsic
    def store(_: Any, array: Any, row: Any, column: Any, values: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            address = _address(context, builder, signature, args, 3)
            stored = builder.store(args[3], builder.bitcast(address, vector.as_pointer()))
            stored.align = 4
            return context.get_dummy_value()

        return types.void(array, types.unliteral(row), types.unliteral(column), values), code

    @intrinsic
    def full(_: Any, x: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            undefined = ir.Constant(vector, ir.Undefined)
            first = builder.insert_element(undefined, args[0], ir.Constant(ir.IntType(32), 0))
            lanes = ir.Constant(ir.VectorType(ir.IntType(32), length), [0] * length)
            return builder.shuffle_vector(first, undefined, lanes)

        return floats(types.float32), code

    @intrinsic
    def total(_: Any, values: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            function = ir.FunctionType(ir.FloatType(), [ir.FloatType(), vector])
            add_up = cgutils.get_or_insert_function(builder.module, function, f"llvm.vector.reduce.fadd.v{length}f32")
            return builder.call(add_up, [ir.Constant(ir.FloatType(), 0.0), args[0]], fastmath=REORDER)

        return types.float32(values), code

    return Vectors(load, store, full, _arithmetic("fadd"), _arithmetic("fsub"), _arithmetic("fmul"), total)


def _arithmetic(instruction: str) -> Callable[..., Any]:
    @intrinsic
    def operate(_: Any, one: Any, other: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, instruction)(args[0], args[1], flags=REORDER)

        return one(one, other), code

    result: Callable[..., Any] = operate
    return result


@intrinsic
def prefetch(_: Any, array: Any, row: Any) -> Any:
    """Ask for the first two cache lines of array[row]; nothing waits for them."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = builder.bitcast(_address(context, builder, signature, args, 2), ir.IntType(8).as_pointer())
        integer = ir.IntType(32)
        function = ir.FunctionType(ir.VoidType(), [address.type, integer, integer, integer])
        ask = builder.module.declare_intrinsic("llvm.prefetch", [address.type], function)
        for line_bytes in (0, 64):
            line = builder.gep(address, [ir.Constant(ir.IntType(64), line_bytes)])
            builder.call(ask, [line, *(ir.Constant(integer, value) for value in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(array, types.unliteral(row)), code


def _address(context: Any, builder: Any, signature: Any, args: Any, num_args: int) -> Any:
    """The address of array[row, column], or of array[row]. No index is negative, and none is checked."""
    array_type = signature.args[0]
    indices = [
        context.cast(builder, value, index_type, types.intp)
        for value, index_type in zip(args[1:num_args], signature.args[1:num_args], strict=True)
    ]
    indices += [context.get_constant(types.intp, 0)] * (array_type.ndim - len(indices))
    array = context.make_array(array_type)(context, builder, args[0])
    return cgutils.get_item_pointer(context, builder, array_type, array, indices, wraparound=False)
