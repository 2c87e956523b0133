from datetime import UTC, datetime, timedelta, timezone

import pytest

from pumphouse.errors import NotFound
from pumphouse.text import counted, duration, explain, explain_dict, listed, one_line, size, when


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web-1", "web-1"),
        ("двери [bold]", "двери [bold]"),
        ("two\nlines\tand a tab", "two\\nlines\\tand a tab"),
        ("\x1b[31mred\x9b", "\\x1b[31mred\\x9b"),
        ("a\u2028b", "a\\u2028b"),
        ("evil\u202etxt", "evil\\u202etxt"),
        ("half\ud800", "half\\ud800"),
        ("family 👨‍👩‍👧", "family 👨‍👩‍👧"),
    ],
)
def test_names_stay_on_one_line_and_steer_no_terminal(text, shown):
    assert one_line(text) == shown
    assert one_line(text).encode()


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (3599.7, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_durations(seconds, shown):
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**41, "2.0 TiB")]
)
def test_sizes(count, shown):
    assert size(count) == shown


def test_times_are_told_in_utc():
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    assert when(moment) == "2026-01-02T01:04:05Z"
    assert when(moment.astimezone(UTC)) == when(moment)
    assert when(None) == ""


def test_counting_and_listing():
    assert (counted(1, "server"), counted(0, "server")) == ("1 server", "0 servers")
    assert listed("abc") == "a, b, c"
    assert listed(range(9), most=2) == "0, 1, and 7 more"


def test_an_error_and_its_json_read_the_same():
    error = NotFound(
        "no such\nthing", cloud="source", resource="server:1", request_id="req-1", next_step="Look."
    )
    assert "\n" not in explain(error)
    assert explain_dict(error.to_dict()) == "no such\\nthing (server:1, cloud source, request req-1). Look."
