"""The safetensors format, as much of it as arrays of numbers need.

A file is the header's length as uint64, the header in JSON, padded with spaces to a multiple of
eight bytes, and the arrays one after the other, row by row and little-endian
(https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

_WORDS = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
}
_TYPES = {word: name for name, word in _WORDS.items()}
_LONGEST_HEADER = 100_000_000


def header(
    tensors: Mapping[str, tuple[str, Sequence[int]]], metadata: Mapping[str, str] | None = None
) -> tuple[bytes, dict[str, int]]:
    """The beginning of a file, and where each array begins in it.

    Args:
        tensors: name to (numpy's name of the type, shape), in the order of the file.
        metadata: texts to keep with them.

    Raises:
        ValueError: the format has no such type.
    """
    tree: dict[str, Any] = {} if metadata is None else {"__metadata__": dict(metadata)}
    ends, at = {}, 0
    for name, (dtype, shape) in tensors.items():
        if dtype not in _WORDS:
            raise ValueError(f"safetensors has no arrays of {dtype}")
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        tree[name] = {
            "dtype": _WORDS[dtype],
            "shape": list(shape),
            "data_offsets": [at, at + size],
        }
        ends[name] = at
        at += size
    text = json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    start = 8 + len(text)
    return len(text).to_bytes(8, "little") + text, {
        name: start + offset for name, offset in ends.items()
    }


def dump(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Arrays as the content of a file; the same arrays give the same bytes."""
    named = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    head, _ = header({name: (one.dtype.name, one.shape) for name, one in named.items()})
    return head + b"".join(
        one.astype(one.dtype.newbyteorder("<"), copy=False).tobytes() for one in named.values()
    )


def load(content: bytes) -> dict[str, npt.NDArray[Any]]:
    """The arrays in the content of a file, read-only.

    Raises:
        ValueError: it is damaged or no such file.
    """
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(_LONGEST_HEADER, len(content) - 8):
        raise ValueError("it is cut short or no safetensors file")
    try:
        tree = json.loads(content[8 : 8 + length])
        body = memoryview(content)[8 + length :]
        arrays = {}
        for name, one in tree.items():
            if name == "__metadata__":
                continue
            dtype = np.dtype(_TYPES[one["dtype"]]).newbyteorder("<")
            shape = tuple(int(size) for size in one["shape"])
            first, last = (int(offset) for offset in one["data_offsets"])
            count = int(np.prod(shape, dtype=np.int64))
            if min(shape, default=0) < 0 or not 0 <= first <= last <= len(body):
                raise ValueError(f"its array {name!r} lies outside it")
            if last - first != count * dtype.itemsize:
                raise ValueError(f"its array {name!r} has another size than its shape")
            arrays[name] = np.frombuffer(body[first:last], dtype).reshape(shape)
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise ValueError(f"its header is not that of a safetensors file: {error!r}") from error
    return arrays


__all__ = ["dump", "header", "load"]
