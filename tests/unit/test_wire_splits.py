"""The decoder against a slow, obviously right model of the same rule, over every kind of cut."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from dsi.wire import Decoder, Malformed, Message, Request


def parse(line: bytes) -> Request | None:
    try:
        return Request(json.loads(line.decode()), line.decode())
    except ValueError:
        return None


def is_object(line: bytes) -> bool:
    request = parse(line)
    return request is not None and isinstance(request.value, dict)


def model(data: bytes, limit: int) -> list[Request | None]:
    """What the specification says, word by word, one byte at a time; None stands for an error."""
    messages: list[Request | None] = []
    line, skipping = b"", False
    for place in range(len(data) + 1):
        byte = data[place : place + 1]
        if byte in (b"\n", b""):
            line = line.removesuffix(b"\r")
            if line.strip(b" \t\r") and not skipping:
                messages.append(parse(line))
            line, skipping = b"", False
        elif not skipping:
            line += byte
            if len(line) > limit:
                messages.append(None)
                skipping = True
            elif byte == b"}" and is_object(line):
                messages.append(parse(line))
                line = b""
    return messages


def plain(messages: list[Message]) -> list[tuple[str, str] | None]:
    return [None if isinstance(message, Malformed) else (repr(message.value), message.text) for message in messages]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(['"', "\\", "{", "}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
WRITTEN = st.builds(lambda value, ascii_only: json.dumps(value, ensure_ascii=ascii_only), JSON, st.booleans()).map(
    lambda text: text.encode(errors="replace")
)
NOISE = st.sampled_from(
    [
        b"{",
        b"}",
        b'"',
        b"\\",
        b"\n",
        b"\r\n",
        b" ",
        b"[",
        b"]",
        b"{}",
        b":",
        b",",
        b"1",
        b"\xff",
        "ä".encode(),
        b'{"a":',
    ]
)
STREAM = st.lists(WRITTEN | NOISE | st.binary(max_size=4), max_size=14).map(b"".join)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    return [data[edges[i] : edges[i + 1]] for i in range(len(edges) - 1)]


@given(STREAM, st.lists(st.integers(0, 200)), st.sampled_from([3, 10, 40, 1 << 20]))
@example(b'{"a": "\\"}"}{}', [8], 1 << 20)
@example(b'{"a": "\\\n"}', [8], 1 << 20)
def test_any_cut_gives_the_messages_of_the_model(data: bytes, places: list[int], limit: int) -> None:
    decoder = Decoder(limit)
    messages = [message for piece in cut(data, places) for message in decoder.feed(piece)]
    messages += list(decoder.finish())
    expected = [None if request is None else (repr(request.value), request.text) for request in model(data, limit)]
    assert plain(messages) == expected


@given(STREAM, st.sampled_from([3, 10, 40, 1 << 20]))
def test_one_byte_at_a_time_gives_the_messages_of_one_block_words_included(data: bytes, limit: int) -> None:
    whole, bytewise = Decoder(limit), Decoder(limit)
    expected = [*whole.feed(data), *whole.finish()]
    got = [message for byte in data for message in bytewise.feed(bytes([byte]))] + list(bytewise.finish())
    assert [repr(message) for message in got] == [repr(message) for message in expected]


def test_a_mebibyte_one_byte_at_a_time_is_taken_in_one_pass() -> None:
    """Quadratic work here would be 10^12 steps: this test would not end."""
    line = b'{"a": [' + b'{"}": "{"}, ' * 90_000 + b"1]}"
    assert len(line) > 1 << 20
    decoder = Decoder(2 << 20)
    (message,) = [message for byte in line for message in decoder.feed(bytes([byte]))]
    assert isinstance(message, Request)


def test_a_mebibyte_of_tiny_commands_in_one_block_is_taken_in_one_pass() -> None:
    assert sum(1 for _ in Decoder().feed(b"{}" * (1 << 19))) == 1 << 19


def test_a_line_of_balanced_braces_that_is_no_object_is_parsed_twice_at_most() -> None:
    """Parsing at each of its 5,000,000 balanced braces would not end."""
    line = b"{x}" * 5_000_000
    assert [type(message) for message in Decoder(1 << 24).feed(line + b"\n")] == [Malformed]
