"""The packages of the extra `export`, without which nothing is begun."""

from importlib.util import find_spec

from schemas.errors import Refusal


def require_installed() -> None:
    """Raise Refusal where one of them is not there."""
    absent = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    if absent:
        raise Refusal(
            found=f"no package {' and '.join(absent)}",
            expected="onnx, which writes the file, and onnxruntime, by which it is checked",
            where="--to onnx",
            remedy="pip install 'nightjar[export]'",
        )
