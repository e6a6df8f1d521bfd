"""JSON is read as backends and the proxies in front of them send it; nothing in it breaks or slows the reader."""

from __future__ import annotations

import codecs
import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.backends.json_text import CHARSETS, names_ended, parsed

LONG = b"9" * 5000


@pytest.mark.parametrize(
    ("body", "content_type", "value"),
    [
        pytest.param('{"a": "é"}'.encode(), "", {"a": "é"}, id="utf-8"),
        pytest.param('{"a": "é"}'.encode(), "text/json; charset=iso-8859-1", {"a": "é"}, id="utf-8-whatever-is-named"),
        pytest.param(b'{"a": "caf\xe9"}', "application/json", {"a": "caf\ufffd"}, id="latin-1-not-named"),
        pytest.param(b'{"a": "caf\xe9"}', "text/json; charset=ISO-8859-1", {"a": "café"}, id="latin-1-named"),
        pytest.param(b'{"a": "caf\xe9"}', "text/json;CHARSET = 'latin1' ; q=1", {"a": "café"}, id="latin-1-quoted"),
        pytest.param(b'{"a": "caf\xe9"}', "text/json; charset=utf-8", {"a": "caf\ufffd"}, id="latin-1-named-utf-8"),
        pytest.param(b'{"a": "caf\xe9"}', "text/json; charset=zlib", {"a": "caf\ufffd"}, id="no-charset-named"),
        pytest.param(b'{"a": "caf\xe9"}', "text/json; charset=undefined", {"a": "caf\ufffd"}, id="a-codec-that-raises"),
        pytest.param(b'{"a": "caf\xe9"}', "text/json; charset=euc-jp", {"a": "caf\ufffd"}, id="another-charset-named"),
        pytest.param(b'{"a": "\x80"}', "text/json; charset=windows-1252", {"a": "€"}, id="windows-1252"),
        pytest.param('{"a": "表"}'.encode("shift-jis"), "text/json; charset=Shift_JIS", {"a": "表"}, id="shift-jis"),
        pytest.param('{"a": "任务"}'.encode("gb18030"), "text/json; charset=GBK", {"a": "任务"}, id="gbk"),
        pytest.param(codecs.BOM_UTF8 + b'{"a": "caf\xe9"}', "", {"a": "caf\ufffd"}, id="latin-1-behind-a-bom"),
        pytest.param(codecs.BOM_UTF8 + b'{"a": 1}', "", {"a": 1}, id="bom"),
        pytest.param('{"a": "é"}'.encode("utf-16"), "", {"a": "é"}, id="utf-16-with-bom"),
        pytest.param('{"a": "é"}'.encode("utf-16-be"), "", {"a": "é"}, id="utf-16-without-bom"),
        pytest.param('{"a": "é"}'.encode("utf-32"), "", {"a": "é"}, id="utf-32-with-bom"),
        pytest.param('{"a": "é"}'.encode("utf-16")[:-1], "", None, id="half-a-character-of-utf-16"),
        pytest.param(b'{"a": "\\ud800"}', "", {"a": "\ud800"}, id="half-a-surrogate-escaped"),
        pytest.param(b'{"a": "\xed\xa0\x80"}', "", {"a": "\ud800"}, id="half-a-surrogate"),
        pytest.param(b'{"a": Infinity}', "", {"a": math.inf}, id="infinity"),
        pytest.param(b'{"a": ' + LONG + b', "b": 1}', "", {"a": math.inf, "b": 1}, id="a-long-number"),
        pytest.param(b'{"a": -' + LONG + b', "b": 1}', "", {"a": -math.inf, "b": 1}, id="a-long-negative-number"),
        pytest.param(b'{"a": [{"c": ' + LONG + b'}], "b": 1}', "", {"a": [{"c": math.inf}], "b": 1}, id="deep-inside"),
        pytest.param(b'{"a": ' + LONG + b'.5, "b": 1}', "", {"a": math.inf, "b": 1}, id="a-long-fraction"),
        pytest.param(b'{"a": 1e' + LONG + b', "b": 1}', "", {"a": math.inf, "b": 1}, id="a-long-exponent"),
        pytest.param(b'{"a": 1e-' + LONG + b', "b": 1}', "", {"a": 0.0, "b": 1}, id="a-long-negative-exponent"),
        pytest.param(b'{"a": ' + LONG * 200 + b"}", "", {"a": math.inf}, id="a-number-of-a-megabyte"),
        pytest.param(b'{"a": ' + b"0" * 5000 + b"}", "", None, id="leading-zeros"),
        pytest.param(b'{"\xe9": 18446744073709551616}', "", {"\ufffd": 2**64}, id="a-number-beyond-64-bits"),
        pytest.param(b')]}\',\n{"a": 1}', "", {"a": 1}, id="guard"),
        pytest.param(codecs.BOM_UTF8 + b'\r\n)]}\',{"a": "\xe9"}', "", {"a": "\ufffd"}, id="guard-behind-bom-and-line"),
        pytest.param(b')]}\'\n{"a": 1}', "", {"a": 1}, id="guard-without-a-comma"),
        pytest.param(b'while(1);{"a": 1}', "", {"a": 1}, id="guard-by-a-loop"),
        pytest.param(b")]}',", "", None, id="guard-alone"),
        pytest.param(b")]}',)]}',{\"a\": 1}", "", None, id="guard-twice"),
        pytest.param(b'{"a": 1}}', "", None, id="more-behind-it"),
        pytest.param(b'caf\xe9 {"a": 1}', "", None, id="text"),
        pytest.param(b"", "", None, id="empty"),
        pytest.param(b"[" * 100_000 + b"\xe9", "", None, id="nested-too-deep"),
    ],
)
def test_json_is_read_or_nothing_is(body: bytes, content_type: str, value: object) -> None:
    assert parsed(body, content_type) == value


@pytest.mark.parametrize(
    ("body", "value"),
    [
        pytest.param(b'{"a": "RUNNING", "b": 1, "a": "KILLED"}', None, id="two-values"),
        pytest.param(b'{"a": 1, "a": null}', None, id="a-value-and-null"),
        pytest.param(b'{"a": 1, "a": true}', None, id="values-that-python-takes-for-one"),
        pytest.param(b'[{"b": {"a": 1, "a": 2}}]', None, id="deep-inside"),
        pytest.param(b'{"a" : 1, "b" :2, "a"\n: 2}', None, id="spaces-before-the-colons"),
        pytest.param(b'{"a":1,"a" :2}', None, id="a-space-before-the-second-colon"),
        pytest.param(b'{"a" : 1, "a":2}', None, id="a-space-before-the-first-colon"),
        pytest.param(b'{"a":1,"a"\n:2}', None, id="a-line-before-a-colon"),
        pytest.param(b'{"a":1,"a"\t\r\n :2}', None, id="white-space-of-each-kind-before-a-colon"),
        pytest.param(b'{"a":1,"a" :2,"t":"\\"\\u0020:"}', None, id="a-text-with-a-space-that-makes-up-for-it"),
        pytest.param(b'{"a" : "\\" : x", "\\" :" : 2}', {"a": '" : x', '" :': 2}, id="a-spaced-colon-in-a-text"),
        pytest.param(b'{"a": 1, "\\u0061": 2}', None, id="a-name-written-in-two-ways"),
        pytest.param(b'{"a": 1, "a": 2, "c": "\xe9"}', None, id="another-charset"),
        pytest.param(b'{"a":1,"a":2,"t":"\\u0022:"}', None, id="a-text-that-makes-up-for-it"),
        pytest.param(b'{"a":1,"a":2,"t":"\\"\\u003a"}', None, id="another-text-that-makes-up-for-it"),
        pytest.param(b'{"a": 1, "b": 2, "a": 1}', {"a": 1, "b": 2}, id="one-value-twice"),
        pytest.param(b'{"a": {"x": 1}, "b": {"x": 2}}', {"a": {"x": 1}, "b": {"x": 2}}, id="in-two-objects"),
        pytest.param(b'[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}], id="in-two-entries"),
        pytest.param(b'{"a" : "\\u0022: x", "b": 2}', {"a": '": x', "b": 2}, id="what-looks-like-a-name-in-a-text"),
        pytest.param(b'{"a" : 1' + b"0" * 30 + b"}", {"a": 10**30}, id="a-long-number"),
    ],
)
def test_an_object_that_gives_a_name_two_values_is_no_json(body: bytes, value: object) -> None:
    assert parsed(body) == value


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(['":', '\\":', '" :', '"\t:']),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(['":', "\\", '" :', ""]), inner),
    ),
    indent=st.sampled_from([None, 2]),
    colon=st.sampled_from([":", ": ", " : ", "\n:", "\t\r\n :"]),
    ascii_only=st.booleans(),
)
def test_json_without_such_an_object_is_read_as_it_is(
    value: object, indent: int | None, colon: str, *, ascii_only: bool
) -> None:
    body = json.dumps(value, indent=indent, separators=(",", colon), ensure_ascii=ascii_only)

    assert parsed(body.encode("utf-8", "surrogatepass")) == value


@pytest.mark.parametrize("colon", [":", ": ", " : ", "\n:", "\t\r\n :"], ids=repr)
def test_names_are_counted_whatever_white_space_is_around_their_colons(colon: str) -> None:
    """A body whose names are counted as in its copy is read once; else it is read again, which is slow."""
    value = {"a": {"b": 'c" : '}, "d": ["e", '":', ": f"]}
    body = json.dumps(value, separators=(", ", colon)).encode()

    assert names_ended(body) == names_ended(msgspec.json.encode(value)) == 6


def test_nan_is_read() -> None:
    value: Any = parsed(b'{"a": NaN}')

    assert math.isnan(value["a"])


@pytest.mark.parametrize("name", sorted(CHARSETS))
def test_every_charset_of_the_table_is_known_to_python_and_reads_ascii(name: str) -> None:
    assert b'{"a": 1}'.decode(CHARSETS[name]) == '{"a": 1}'


@given(body=st.binary(max_size=200), content_type=st.text(max_size=50), charset=st.sampled_from(sorted(CHARSETS)))
def test_no_body_and_no_content_type_breaks_the_reader(body: bytes, content_type: str, charset: str) -> None:
    parsed(b'{"a": "' + body + b'"}', content_type)
    parsed(b'{"a": "' + body + b'"}', f"text/json; charset={charset}")
