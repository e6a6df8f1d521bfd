import io
import json

import pytest

from worker.observability.streams import complain, escape_what_cannot_be_shown, json_for


def stream(encoding: str, errors: str = "strict") -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding, errors)


def written(to: io.TextIOWrapper) -> bytes:
    to.flush()
    raw = to.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue()


@pytest.mark.parametrize("name", ["stdout", "stderr"])
@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_a_character_that_a_stream_lacks_becomes_its_number(
    errors: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = stream("gbk", errors)
    monkeypatch.setattr(f"sys.{name}", out)
    escape_what_cannot_be_shown()
    out.write("预 ü 😀 \udcff")

    assert "预 ü \\U0001f600 \\udcff".encode("gbk") == written(out)


def test_another_way_of_not_failing_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    out = stream("ascii", "replace")
    monkeypatch.setattr("sys.stdout", out)
    escape_what_cannot_be_shown()
    out.write("ü")

    assert b"?" == written(out)


def test_a_closed_stream_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", io.StringIO())

    escape_what_cannot_be_shown()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gbk", "euc_jp", "utf-16"])
def test_json_for_a_stream_without_utf_8_is_ascii_and_says_the_same(encoding: str) -> None:
    text = '{"ü": "预\\\\😀"}'
    shown = json_for(encoding, text)

    assert shown.isascii()
    assert json.loads(text) == json.loads(shown)


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", None], ids=["utf-8", "UTF8", "in memory"])
def test_json_for_a_stream_with_utf_8_stays_as_it_is(encoding: str | None) -> None:
    assert '"ü😀"' == json_for(encoding, '"ü😀"')


def test_json_has_escapes_for_what_a_terminal_acts_on() -> None:
    assert r'"\u009b31m \u202e \ud800 ü"' == json_for(None, '"\x9b31m \u202e \ud800 ü"')


def test_each_part_of_an_error_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    complain("it failed:", "\x1b[31mred", "two\nlines")

    assert capsys.readouterr().err == "it failed:\n  \\x1b[31mred\n  two\\nlines\n"
