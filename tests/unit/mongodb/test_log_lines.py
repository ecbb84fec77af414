"""A server's log: what of it is shown, and how."""

import json

from dsi.systems.mongodb.log import telling


def entry(message: str, severity: str = "I", **attributes: object) -> str:
    when = {"$date": "2026-01-31T12:00:00.000+00:00"}
    return json.dumps({"t": when, "s": severity, "c": "CONTROL", "id": 1, "msg": message, "attr": attributes})


def test_a_line_of_json_becomes_a_line_that_a_person_can_read() -> None:
    assert telling([entry("terminating", "E", error="Location40415"), entry("Now exiting")]) == [
        '2026-01-31T12:00:00.000+00:00 E CONTROL: terminating {"error": "Location40415"}',
        "2026-01-31T12:00:00.000+00:00 I CONTROL: Now exiting",
    ]


def test_any_other_line_stays_as_it_is() -> None:
    lines = ["Unrecognized option: storage.nonsense", "", "[]", '{"t": 1}', "12", "{"]
    assert telling(lines) == lines


def test_the_error_is_shown_even_if_the_server_wrote_much_after_it() -> None:
    lines = [entry("early"), entry("cannot listen", "E"), *(entry(f"ending {number}") for number in range(50))]
    shown = telling(lines)
    assert len(shown) == 10
    assert shown[0].endswith("E CONTROL: cannot listen")
    assert shown[-1].endswith("ending 49")


def test_many_errors_leave_the_last_ten() -> None:
    shown = telling([entry(f"wrong {number}", "E") for number in range(50)])
    assert [line.split()[-1] for line in shown] == [str(number) for number in range(40, 50)]


def test_what_an_earlier_start_wrote_is_not_shown() -> None:
    lines = [entry("an old error", "E"), entry("***** SERVER RESTARTED *****"), entry("new")]
    assert "old" not in "\n".join(telling(lines))


def test_what_the_server_said_and_what_it_logged_are_ten_lines_together() -> None:
    said = [entry("no TLS 1.0"), "", "terminate called"]
    shown = telling([entry("cannot listen", "E"), *(entry(f"ending {number}") for number in range(50))], said)
    assert len(shown) == 10
    assert shown[0] == "terminate called"
    assert shown[1].endswith("E CONTROL: cannot listen")
    assert shown[-1].endswith("ending 49")


def test_what_the_server_said_is_shown_though_the_log_of_the_same_start_has_a_line_of_its_own_for_it() -> None:
    said = [entry("before it had a log", "E")]
    assert telling([entry("an old error", "E"), entry("***** SERVER RESTARTED *****")], said)[0].endswith("had a log")
