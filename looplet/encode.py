"""JSON text of small values, again and again."""

from __future__ import annotations

from collections.abc import Callable
from json import JSONEncoder
from json.encoder import c_make_encoder, encode_basestring


def line_encoder() -> Callable[[object], str]:
    """`JSONEncoder(ensure_ascii=False, allow_nan=False).encode`, set up once instead of for every value.

    A value that contains itself raises RecursionError instead of ValueError.
    """
    encoder = JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False)
    if c_make_encoder is None:  # this Python has no C encoder
        return encoder.encode
    chunks = c_make_encoder(None, encoder.default, encode_basestring, None, ": ", ", ", False, False, False)
    return lambda value: "".join(chunks(value, 0))
