"""The v of a row [w | v] as one LLVM vector, for kernels compiled by Numba: by itself it keeps small arrays in memory.

Rows are records with the fields w and v, so that the length of v is part of their type: a kernel is compiled for each.
Kernels add, subtract and multiply such vectors by +, - and *, and multiply them by a float.

Needs numba (`pip install 'nightjar[fused]'`); importing this module does.
"""

import operator
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model
from numpy.typing import NDArray

from pipeline.runtime import fingerprint

# What a sum of floats may be changed to: another order, fused multiply and add; but nan stays nan.
REORDER = ("reassoc", "contract", "nsz", "arcp")
# The sources of all kernels and of their parts.
KERNELS = tuple(f"pipeline/embedding/{name}.py" for name in ("cells", "fused", "radix", "simd"))

Rows = NDArray[np.void]


def kept_in(chosen: str) -> str:
    """The folder for compiled kernels: one for each version of the sources, below the `chosen` one if there is one.

    Numba itself looks at a function's own file alone, and would go on with parts as they were in another.
    """
    room = Path(__file__).parent
    of_user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nightjar"
    base = Path(chosen) if chosen else room / "__pycache__" if os.access(room, os.W_OK) else of_user
    return str(base / f"kernels-{fingerprint.of_sources(*KERNELS)}")


config.CACHE_DIR = kept_in(config.CACHE_DIR)


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled at its first call, in a second, for one length of v and one kind of cells, and kept on disk."""
    compiled = njit(nogil=True, cache=True, error_model="numpy", fastmath=set(REORDER))(function)
    result: Callable[..., Any] = compiled
    return result


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """A part of kernels, which are given its code."""
    compiled = njit(nogil=True, cache=True, error_model="numpy", fastmath=set(REORDER), forceinline=True)(function)
    result: Callable[..., Any] = compiled
    return result


def rows_of(floats_nD: NDArray[np.float32]) -> Rows:
    """[n, 1 + K] floats as n records, in the same memory."""
    num_rows, num_floats = floats_nD.shape
    return floats_nD.view([("w", np.float32), ("v", np.float32, (num_floats - 1,))]).reshape(num_rows)


class Floats(types.Type):
    """So many float32, as one LLVM vector, of whatever registers the CPU has for it."""

    def __init__(self, length: int) -> None:
        self.length = length
        super().__init__(name=f"floats{length}")


@register_model(Floats)
class _FloatsModel(models.PrimitiveModel):
    def __init__(self, manager: Any, floats: Floats) -> None:
        super().__init__(manager, floats, _vector(floats))


# Numba's intrinsics are functions from argument types to a signature and a generator of LLVM code.


@intrinsic
def load(_: Any, rows: Any, row: Any) -> Any:
    """(rows, row) -> the v of that row"""
    floats = _v_of(rows)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(context, builder, signature, args, rows.dtype.offset("v"))
        loaded = builder.load(builder.bitcast(address, _vector(floats).as_pointer()))
        loaded.align = 4
        return loaded

    return floats(rows, types.unliteral(row)), code


@intrinsic
def store(_: Any, rows: Any, row: Any, v: Any) -> Any:
    """(rows, row, v)"""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(context, builder, signature, args, rows.dtype.offset("v"))
        stored = builder.store(args[2], builder.bitcast(address, _vector(v).as_pointer()))
        stored.align = 4
        return context.get_dummy_value()

    return types.void(rows, types.unliteral(row), v), code


@intrinsic
def zeros(_: Any, rows: Any) -> Any:
    """(rows) -> 0, 0, ..., 0, as long as their v"""
    floats = _v_of(rows)
    return floats(rows), lambda context, builder, signature, args: ir.Constant(_vector(floats), None)


@intrinsic
def total(_: Any, v: Any) -> Any:
    """(v) -> the sum of its floats"""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = ir.FunctionType(ir.FloatType(), [ir.FloatType(), _vector(v)])
        add_up = cgutils.get_or_insert_function(builder.module, function, f"llvm.vector.reduce.fadd.v{v.length}f32")
        return builder.call(add_up, [ir.Constant(ir.FloatType(), 0.0), args[0]], fastmath=REORDER)

    return types.float32(v), code


@intrinsic
def prefetch(_: Any, array: Any, index: Any) -> Any:
    """Ask for the first two cache lines of array[index]; nothing waits for them."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        integer = ir.IntType(32)
        address = _address(context, builder, signature, args, 0)
        function = ir.FunctionType(ir.VoidType(), [address.type, integer, integer, integer])
        ask = builder.module.declare_intrinsic("llvm.prefetch", [address.type], function)
        for line_bytes in (0, 64):
            line = builder.gep(address, [ir.Constant(ir.IntType(64), line_bytes)])
            builder.call(ask, [line, *(ir.Constant(integer, value) for value in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(array, types.unliteral(index)), code


def _arithmetic(instruction: str) -> Callable[..., Any]:
    @intrinsic
    def operate(_: Any, one: Any, other: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, instruction)(args[0], args[1], flags=REORDER)

        return one(one, other), code

    result: Callable[..., Any] = operate
    return result


@intrinsic
def _times(_: Any, x: Any, v: Any) -> Any:
    vector = _vector(v)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        undefined = ir.Constant(vector, ir.Undefined)
        first = builder.insert_element(undefined, args[0], ir.Constant(ir.IntType(32), 0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), v.length), [0] * v.length)
        return builder.fmul(builder.shuffle_vector(first, undefined, lanes), args[1], flags=REORDER)

    return v(types.float32, v), code


_plus, _minus, _by = _arithmetic("fadd"), _arithmetic("fsub"), _arithmetic("fmul")


@overload(operator.add, strict=False)
def _add(one: Any, other: Any) -> Any:
    return (lambda one, other: _plus(one, other)) if _are_floats(one, other) else None


@overload(operator.sub, strict=False)
def _subtract(one: Any, other: Any) -> Any:
    return (lambda one, other: _minus(one, other)) if _are_floats(one, other) else None


@overload(operator.mul, strict=False)
def _multiply(one: Any, other: Any) -> Any:
    if _are_floats(one, other):
        return lambda one, other: _by(one, other)
    if one == types.float32 and isinstance(other, Floats):
        return lambda one, other: _times(one, other)
    return None


def _are_floats(one: Any, other: Any) -> bool:
    return isinstance(one, Floats) and one == other


def _v_of(rows: Any) -> Floats:
    return Floats(*rows.dtype.typeof("v").shape)


def _vector(floats: Floats) -> ir.VectorType:
    return ir.VectorType(ir.FloatType(), floats.length)


def _address(context: Any, builder: Any, signature: Any, args: Any, offset_bytes: int) -> Any:
    """Of a byte of array[index], whose two are the first arguments. The index is not negative, nor checked."""
    array_type, index_type = signature.args[:2]
    array = context.make_array(array_type)(context, builder, args[0])
    index = context.cast(builder, args[1], index_type, types.intp)
    item = cgutils.get_item_pointer(context, builder, array_type, array, [index], wraparound=False)
    return builder.gep(builder.bitcast(item, ir.IntType(8).as_pointer()), [ir.Constant(ir.IntType(64), offset_bytes)])
