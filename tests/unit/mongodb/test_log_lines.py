"""A server's log, made readable."""

from dsi.systems.mongodb.process import readable


def test_a_line_of_json_becomes_a_line_that_a_person_can_read() -> None:
    line = (
        '{"t":{"$date":"2026-01-31T12:00:00.000+00:00"},"s":"E",  "c":"CONTROL",  "id":20557,   "ctx":"initandlisten",'
        '"msg":"DBException in initAndListen, terminating","attr":{"error":"Location40415"}}'
    )
    assert readable(line) == (
        '2026-01-31T12:00:00.000+00:00 E CONTROL: DBException in initAndListen, terminating {"error": "Location40415"}'
    )


def test_any_other_line_stays_as_it_is() -> None:
    for line in ("Unrecognized option: storage.nonsense", "", "[]", '{"t": 1}', "12"):
        assert readable(line) == line
