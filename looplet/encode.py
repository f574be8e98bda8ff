"""JSON text of small values, again and again."""

from __future__ import annotations

from collections.abc import Callable
from json import JSONEncoder, encoder

quoted: Callable[[str], str] = encoder.encode_basestring
"""A text as JSON text: quoted, escaped, its other characters as they are."""


def line_encoder() -> Callable[[object], str]:
    """`JSONEncoder(ensure_ascii=False, allow_nan=False).encode`, set up once instead of for every value.

    A value that contains itself raises RecursionError instead of ValueError.
    """
    plain = JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False)
    make = getattr(encoder, "c_make_encoder", None)
    if make is None:  # this Python has no C encoder
        return plain.encode
    text = encoder.encode_basestring
    chunks = make(None, plain.default, text, None, ": ", ", ", False, False, False)
    return lambda value: "".join(chunks(value, 0))
