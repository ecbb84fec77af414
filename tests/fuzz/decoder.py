"""What must hold of dsi.wire for any bytes whatever. No fuzzer is needed to ask it of some of them."""

import json
import sys

from tests.unit.test_wire_splits import model, plain

from dsi.errors import InvalidCommand
from dsi.wire import Code, Decoder, Envelope, Malformed, Message, Outcome, Request, encode_reply, open_envelope, read_id

LIMITS = (3, 24, 1 << 20)
"""Of a line, in bytes: one that hardly anything fits in, one that some lines do, and the real one."""

PIECES = (1, 2, 7)
"""Sizes into which the bytes are cut."""

OVERHEAD_BYTES = 1_000
"""What a decoder that holds nothing takes."""


def check(data: bytes) -> None:
    """Fail if these bytes are taken for other messages than the specification says, in however many pieces they come.

    Quadratic in `len(data)`, for the model of the specification is.
    """
    for limit in LIMITS:
        whole = decode(data, limit, max(len(data), 1))
        assert plain(whole) == [
            None if request is None else (repr(request.value), request.text) for request in model(data, limit)
        ]
        for size in PIECES:
            assert repr(decode(data, limit, size)) == repr(whole), f"in pieces of {size} bytes, limit {limit}"
        for message in whole:
            check_answer(message)


def decode(data: bytes, limit: int, size: int) -> list[Message]:
    """Give the messages; fails if the decoder ever holds more than a line (a bytearray may take twice its content)."""
    decoder = Decoder(limit)
    messages: list[Message] = []
    for start in range(0, len(data), size):
        messages += decoder.feed(data[start : start + size])
        assert held_bytes(decoder) <= OVERHEAD_BYTES + 2 * min(limit, len(data))
    messages += decoder.finish()
    assert all(isinstance(message, Request | Malformed) for message in messages)
    return messages


def held_bytes(decoder: Decoder) -> int:
    """Give the memory of all that the decoder holds."""
    return sum(sys.getsizeof(value) for value in vars(decoder).values())


def check_answer(message: Message) -> None:
    """Fail if the message has no answer that is one line of JSON, with the id that it came with."""
    id_, said = None, ""
    if isinstance(message, Malformed):
        said = message.message
    else:
        try:
            id_ = read_id(message.value)
            assert isinstance(open_envelope(message.value), Envelope)
        except InvalidCommand as problem:
            said = problem.message
    line = encode_reply(Outcome(code=Code.EXECUTION_ERROR, message=said), id_)
    assert line.isascii()
    assert line.index(b"\n") == len(line) - 1
    assert json.loads(line).get("id") == id_
