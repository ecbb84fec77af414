"""The decoder and the replies, against the specification's own bytes."""

import json
from pathlib import Path

import pytest

from dsi.errors import MAX_MESSAGE_BYTES
from dsi.wire import (
    Code,
    Decoder,
    Malformed,
    Message,
    Outcome,
    Request,
    codes_table,
    controls_table,
    encode_reply,
    events_table,
    keys_table,
)

ROW_1 = (
    rb'{"on_workload_client": {"exec": "echo \"HELLO THIS IS HENRIK CAN YOU HEAR ME?????!!!\"'
    rb'\necho \"(Yes, we can)\"\n"}}'
)
ROW_3 = ROW_1.replace(b'"exec"', b"1")


def decode(*pieces: bytes, max_line_bytes: int = 1 << 20) -> list[Message]:
    decoder = Decoder(max_line_bytes)
    messages = [message for piece in pieces for message in decoder.feed(piece)]
    return messages + list(decoder.finish())


def values(*pieces: bytes) -> list[object]:
    return [message.value if isinstance(message, Request) else message for message in decode(*pieces)]


def malformed(line: bytes) -> str:
    (message,) = decode(line + b"\n")
    assert isinstance(message, Malformed)
    return message.message


def test_a_request_has_the_value_and_the_text_as_sent() -> None:
    assert decode(b'{"a":  1.0}\n') == [Request({"a": 1.0}, '{"a":  1.0}')]


def test_row_1_in_any_two_segments_is_one_command() -> None:
    for cut in range(len(ROW_1) + 1):
        assert values(ROW_1[:cut], ROW_1[cut:] + b"\n") == [json.loads(ROW_1)]


def test_a_command_is_complete_at_its_closing_brace_without_a_newline() -> None:
    decoder = Decoder()
    assert list(decoder.feed(ROW_1[:-1])) == []
    assert list(decoder.feed(ROW_1[-1:])) == [Request(json.loads(ROW_1), ROW_1.decode())]
    assert list(decoder.finish()) == []


def test_row_3_has_the_words_and_the_column_of_pythons_json() -> None:
    assert malformed(ROW_3) == "Expecting property name enclosed in double quotes: line 1 column 25 (char 24)"


def test_several_commands_may_stand_on_one_line() -> None:
    assert values(b'{"a": 1}{"b": "}{"} \t{"c": {"d": {}}}\n{}') == [{"a": 1}, {"b": "}{"}, {"c": {"d": {}}}, {}]


@pytest.mark.parametrize("nothing", [b"", b"\n", b"\r\n", b" \t\r\n\n\r\n", b"  "])
def test_blank_lines_are_no_messages(nothing: bytes) -> None:
    assert decode(nothing) == []
    assert values(b'{"a": 1}' + nothing) == [{"a": 1}]


def test_cr_lf_ends_a_line_and_does_not_change_an_errors_words() -> None:
    assert values(b'{"a": 1}\r\n5\r\n') == [{"a": 1}, 5]
    for line in (b"xx", b'{"a": ', b'{"a": "x', ROW_3):
        assert decode(line + b"\r\n") == decode(line + b"\n")


def test_the_end_of_input_ends_a_line() -> None:
    assert values(b"[1, 2]") == [[1, 2]]
    assert decode(b'{"a": ') == [Malformed("Expecting value: line 1 column 7 (char 6)")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"xx", "Expecting value: line 1 column 1 (char 0)"),
        (b'xx{"a": 1}', "Expecting value: line 1 column 1 (char 0)"),
        (b'{"a": }{"b": 1}', "Expecting value: line 1 column 7 (char 6)"),
        (b'[1]{"a": 1}', "Extra data: line 1 column 4 (char 3)"),
        (b'{"a": 1', "Expecting ',' delimiter: line 1 column 8 (char 7)"),
        (b"}", "Expecting value: line 1 column 1 (char 0)"),
        (b"{{}}", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b'{"a": "\x01"}', "Invalid control character at: line 1 column 8 (char 7)"),
        (b"\xef\xbb\xbf{}", "Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 (char 0)"),
        ('{"ä": "ö" 1}'.encode(), "Expecting ',' delimiter: line 1 column 11 (char 10)"),
    ],
)
def test_what_json_refuses_is_one_error_per_line_in_its_own_words(line: bytes, words: str) -> None:
    assert malformed(line) == words
    assert decode(line + b'\n{"a": 1}')[1:] == [Request({"a": 1}, '{"a": 1}')]


def test_a_column_counts_from_the_end_of_the_command_before() -> None:
    assert decode(b'{"a": 1}{1: 2}\n')[1:] == [
        Malformed("Expecting property name enclosed in double quotes: line 1 column 2 (char 1)")
    ]


def test_a_newline_inside_a_string_ends_the_line() -> None:
    first, second = decode(b'{"a": "x\ny"}\n')
    assert first == Malformed("Unterminated string starting at: line 1 column 7 (char 6)")
    assert isinstance(second, Malformed)


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xff\xfe{\x00}\x00"])
def test_bytes_that_are_no_utf8_are_an_error_that_counts_characters(bad: bytes) -> None:
    message = malformed('{"ä": "'.encode() + bad + b'"}')
    assert message.startswith(f"Not UTF-8 (byte 0x{bad[0]:02x}, ")
    assert message.endswith("): line 1 column 8 (char 7)")


@pytest.mark.parametrize(
    "line",
    [b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b"[" * 100_000, b'{"a": ' + b"1" * 5_000 + b"}"],
    ids=["deep objects", "deep lists", "5,000 digits"],
)
def test_whatever_json_raises_is_an_error_of_that_line(line: bytes) -> None:
    assert malformed(line)
    assert values(line + b'\n{"a": 1}')[1:] == [{"a": 1}]


@pytest.mark.parametrize(("begin", "end"), [(b"[", b"]"), (b'{"a": ', b"}")], ids=["lists", "objects"])
def test_nesting_has_a_limit_far_from_where_python_gives_up(begin: bytes, end: bytes) -> None:
    """What is let through has to be read by whoever looks at it next, deeper in the stack than `json` was."""
    wide = b"[" + b"{}, " * 200 + b'"{[["]'
    assert not isinstance(values(begin * 98 + wide + end * 98 + b"\n")[0], Malformed)
    for depth in (101, 960, 100_000):
        assert malformed(begin * depth + b"1" + end * depth) == "More than 100 objects and lists within one another"


def test_values_are_those_of_pythons_json() -> None:
    assert values(b'{"a": 1, "a": 2}\n{"b": Infinity}\nnull\n"\\ud800"\n') == [
        {"a": 2},
        {"b": float("inf")},
        None,
        "\ud800",
    ]


def test_a_line_of_just_max_line_bytes_is_taken_and_one_byte_more_is_not() -> None:
    fits = b'{"a": "' + b"x" * 91 + b'"}'
    assert len(fits) == 100
    assert values(fits + b"\n", b"7" * 100 + b"\n")[0] == json.loads(fits)
    too_long = [Malformed("Line longer than 100 bytes (max_line_bytes), skipped to its newline")]
    assert decode(b" " + fits + b"\n5\n", max_line_bytes=100) == [*too_long, Request(5, "5")]
    assert decode(b"7" * 100 + b"\n", max_line_bytes=100) == [Request(int("7" * 100), "7" * 100)]
    assert decode(b"7" * 101, max_line_bytes=100) == too_long


def test_a_line_that_is_too_long_answers_once_and_is_skipped_to_its_newline() -> None:
    decoder = Decoder(max_line_bytes=1000)
    answers = [message for _ in range(1000) for message in decoder.feed(b'"{"a": 1}' * 100)]
    assert len(answers) == 1
    assert list(decoder.feed(b'{"b": 1}\n{"c": 1}')) == [Request({"c": 1}, '{"c": 1}')]


def test_the_limit_is_a_commands_and_not_a_connections() -> None:
    assert len(decode(b'{"a": 1}' * 1000, max_line_bytes=100)) == 1000


def test_messages_come_one_by_one_so_that_a_block_of_many_is_not_held_decoded() -> None:
    messages = Decoder().feed(b'{"a": 1}{"b": ')
    assert next(messages) == Request({"a": 1}, '{"a": 1}')


def test_a_reply_has_the_documents_form_to_the_byte() -> None:
    assert encode_reply(Outcome(code=Code.OK)) == (
        b'{"status_code": 0, "status": "OK", "message": "I think the command might have succeeded."}\n'
    )
    assert encode_reply(Outcome(code=Code.EXECUTION_ERROR, message="Invalid command type")) == (
        b'{"status_code": 2, "status": "EXECUTION_ERROR", "message": "Invalid command type"}\n'
    )


@pytest.mark.parametrize("message", ["a\nb", "ä€😀", "\ud800", "\x00\u2028", 'quote "', ""])
def test_a_reply_is_one_line_of_ascii_that_json_reads(message: str) -> None:
    line = encode_reply(Outcome(code=Code.JSON_ERROR, message=message))
    assert line.isascii()
    assert line.index(b"\n") == len(line) - 1
    shown = message.replace("\n", "\\n").replace("\ud800", "\\ud800")
    assert json.loads(line) == {"status_code": 1, "status": "JSON_ERROR", "message": shown}


def test_a_long_message_is_cut_between_characters() -> None:
    message = json.loads(encode_reply(Outcome(code=Code.EXECUTION_ERROR, message="x" + "€" * 5000)))["message"]
    assert MAX_MESSAGE_BYTES - 3 < len(message.encode()) <= MAX_MESSAGE_BYTES
    assert message.endswith("€")


@pytest.mark.parametrize("table", [codes_table(), keys_table(), controls_table(), events_table()])
def test_the_page_has_the_tables_that_are_made_from_the_code(table: str) -> None:
    page = Path(__file__).parents[2] / "docs" / "dsisocket.md"
    assert table in page.read_text(), "paste this into docs/dsisocket.md:\n" + table
