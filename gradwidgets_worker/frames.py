"""Frames between judge and worker: JSON with its length before it, arrays as bytes.

Nothing here is a pickle: whoever reads a frame gets numbers, texts, lists and dictionaries.
"""

from __future__ import annotations

import base64
import json
import struct
from typing import IO, Any

import numpy as np
import numpy.typing as npt

Data = dict[str, Any]
"""What JSON holds, by names."""

LONGEST = 8_000_000
"""Bytes that a frame may have."""

DTYPES = ("float32", "float64", "bool")
"""Types of the elements of an array that may be sent."""

_HEADER = struct.Struct(">I")


def write_frame(stream: IO[bytes], message: Data) -> None:
    """Write a message.

    Raises:
        ValueError: it is too long.
    """
    body = json.dumps(message).encode("ascii")
    if len(body) > LONGEST:
        raise ValueError(f"a frame of {len(body)} bytes is too long; {LONGEST} are allowed")
    stream.write(_HEADER.pack(len(body)) + body)
    stream.flush()


def read_frame(stream: IO[bytes], longest: int = LONGEST) -> Data:
    """Read the next message.

    Raises:
        EOFError: the stream has ended.
        ValueError: what came is no message.

    >>> import io
    >>> stream = io.BytesIO()
    >>> write_frame(stream, {"run": "x = 1"})
    >>> read_frame(io.BytesIO(stream.getvalue()))
    {'run': 'x = 1'}
    """
    header = stream.read(_HEADER.size)
    if len(header) < _HEADER.size:
        raise EOFError
    (length,) = _HEADER.unpack(header)
    if length > longest:
        raise ValueError(f"a frame of {length} bytes is too long; {longest} are allowed")
    body = stream.read(length)
    if len(body) < length:
        raise EOFError
    try:
        message = json.loads(body)
    except RecursionError:
        raise ValueError("a frame is nested too deeply") from None
    if not isinstance(message, dict):
        raise ValueError("a frame should hold names and values")
    return message


def encoded(array: npt.NDArray[Any]) -> Data:
    """An array as data: the type of its elements, its shape, its bytes."""
    content = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return {
        "dtype": array.dtype.name,
        "shape": list(array.shape),
        "bytes": base64.b64encode(content.tobytes()).decode("ascii"),
    }


def decoded(data: Any) -> npt.NDArray[Any]:
    """The array that `encoded` wrote.

    Raises:
        ValueError: the data is no array, or of another type than `DTYPES` allows.

    >>> decoded(encoded(np.array([[1.0, 2.0]])))
    array([[1., 2.]])
    """
    if not isinstance(data, dict) or data.get("dtype") not in DTYPES:
        raise ValueError(f"no array of {', '.join(DTYPES)}")
    shape, text = data.get("shape"), data.get("bytes")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("an array's shape should be a list of sizes")
    if not isinstance(text, str):
        raise ValueError("an array's bytes should be a text")
    content = base64.b64decode(text, validate=True)
    dtype = np.dtype(data["dtype"]).newbyteorder("<")
    return np.frombuffer(content, dtype).reshape(shape).astype(data["dtype"])
