"""Which jobs a file selects, and what is reported about invalid lines."""

from __future__ import annotations

import codecs
import json
from typing import Any

import pytest
from unit.cli.batch.selections import DEFAULTS, chosen, ids, mistakes, selected

from worker.cli.batch.lines import LONGEST


@pytest.mark.parametrize(
    "content",
    [
        "1\n2\n3\n",
        "1\n2\n3",
        "1\r\n2\r\n3\r\n",
        "1\r2\r3\r",
        "\n 1 \n\n2\t\n\n3\n\n",
        "\ufeff1\n2\n3\n",
        codecs.BOM_UTF16_LE + "1\n2\n3\n".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "1\r\n2\r\n3".encode("utf-16-be"),
        "job_id\n1\n2\n3\n",
        "job_id,reason\n1,\n2,\n3,\n",
        "job_id;reason\n1;\n2;\n3;\n",
        "reason\tjob_id\n\t1\n\t2\n\t3\n",
        '\ufeff"job_id","reason"\r\n"1",""\r\n"2",""\r\n\r\n,\r\n"3",""\r\n',
        '{"job_id": "1"}\n\n{"job_id": "2"}\n{"job_id": "3", "reason": null}\n',
    ],
    ids=[
        "ids", "no-last-end", "crlf", "cr", "blanks", "mark", "utf-16-le", "utf-16-be",
        "one-column", "csv", "semicolons", "tabs", "quoted", "json",
    ],
)  # fmt: skip
def test_one_selection_can_be_written_in_many_ways(content: str | bytes) -> None:
    assert selected(content) == [{**DEFAULTS, "job_id": job_id} for job_id in "123"]


def test_columns_are_fields_of_a_command() -> None:
    header = "job_id,backend,verb,reason,labels.team,labels.run,params.cluster_id"
    (one,) = selected(f'{header}\n7,oml,delete,"over, ""budget""",billing,,c1\n')

    assert one == {
        "job_id": "7",
        "backend": "oml",
        "verb": "delete",
        "reason": 'over, "budget"',
        "labels": {"team": "billing"},
        "params": {"cluster_id": "c1"},
    }


def test_a_line_adds_to_the_labels_that_all_have() -> None:
    defaults = {**DEFAULTS, "labels": {"team": "billing", "run": "7"}, "reason": "budget"}
    (one,) = selected('{"job_id": 1, "labels": {"run": "8"}, "reason": "mine"}', defaults=defaults)

    assert one == {**DEFAULTS, "job_id": "1", "labels": {"team": "billing", "run": "8"}, "reason": "mine"}


def test_a_job_that_is_named_again_is_left_out_and_said() -> None:
    commands, said = chosen("1\n2\n1\n1\n3\n{}\n2".replace("{}", "4"))

    assert ids(commands) == ["1", "2", "3", "4"]
    assert said == ["lines 3-4, 7: left out, since earlier lines name the same jobs"]


WRITTEN = {
    "a text": '"1007"',
    "a whole number": "1007",
    "a number with a fraction of zero": "1007.0",
    "a number with an exponent": "1.007e3",
}


@pytest.mark.parametrize("job_id", WRITTEN.values(), ids=WRITTEN.keys())
def test_a_jobs_id_is_selected_as_the_workers_read_it(job_id: str) -> None:
    assert selected(f'{{"job_id": {job_id}}}') == [{**DEFAULTS, "job_id": "1007"}]


def test_one_id_written_in_many_ways_is_one_job() -> None:
    commands, said = chosen("\n".join(f'{{"job_id": {job_id}}}' for job_id in WRITTEN.values()))

    assert ids(commands) == ["1007"]
    assert said == ["lines 2-4: left out, since earlier lines name the same jobs"]


def test_a_text_that_looks_like_a_number_stays_as_it_is() -> None:
    assert ids(selected('{"job_id": "1007.0"}\n{"job_id": "1e3"}')) == ["1007.0", "1e3"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"job_id": 1}, {"job_id": "1", "backend": "oml"}),
        ({"job_id": 1, "params": {"cluster_id": "a"}}, {"job_id": 1, "params": {"cluster_id": "b"}}),
    ],
    ids=["another-backend", "another-address"],
)
def test_jobs_with_one_id_are_two(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert len(selected(f"{json.dumps(first)}\n{json.dumps(second)}")) == 2


def test_one_job_with_two_verbs_is_a_mistake() -> None:
    content = "job_id,verb\n1,cancel\n2,cancel\n1,delete\n"

    assert mistakes(content) == ["line 4: asks to delete a job that line 2 asks to cancel"]


@pytest.mark.parametrize(
    "content", ["", "\n\n \n", "job_id\n", "job_id,verb\n,\n"], ids=["no-byte", "blanks", "header", "empty-row"]
)
def test_an_empty_selection_is_a_mistake(content: str) -> None:
    assert mistakes(content, "jobs.txt") == ["jobs.txt selects no job: there is nothing to do"]


def test_every_wrong_line_is_named() -> None:
    content = "job_id,verb,reason\n1,cancel,\n.,cancel,\n3,stop,\n4,cancel,\n5,halt,\n6,cancel\n"

    assert mistakes(content) == [
        "line 3: job_id: '.' and '..' are not job ids: a URL would drop them",
        "lines 4, 6: verb: must be 'cancel' or 'delete'",
        "line 7: has 2 cells, and the header has 3",
    ]


def test_runs_of_wrong_lines_are_named_as_such() -> None:
    lines = ["1", *['{"job_id": 1}'] * 1000, "2"]

    assert mistakes("\n".join(lines)) == [
        "lines 2-1001: is not just an id: CSV begins with a header that names job_id, JSON with a {"
    ]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"1\n2\xff\n3\n", "line 2: is not UTF-8 text"),
        (codecs.BOM_UTF16_LE + "1\n".encode("utf-16-le") + b"\x00\xd8\n\x00", "line 2: is not UTF-16 text"),
        ("1\n" + "x" * (2 * LONGEST + 1) + "\n3", f"line 2: is longer than {LONGEST} characters"),
        ("1\n\x00\n", "line 2: job_id: holds a character that can't be printed"),
        ("1,2\n", "line 1: is not just an id: CSV begins with a header that names job_id, JSON with a {"),
        ('job_id,reason\n1,"a\nb"\n2,"c\n', "line 4: is not CSV: a quote that begins in it is never closed"),
        ('job_id,reason\n1,"a"b\n2,c\n', "line 2: is not CSV: ',' expected after '\"'"),
        ('job_id,verb\n1,"cancel"\n2,"stop\n"\n', "line 3: verb: must be 'cancel' or 'delete'"),
        ("job_id,job_id\n1,2\n", "line 1: names the column 'job_id' twice"),
        ('{"job_id": 1}\n{"job_id": \n', "line 2: is not JSON: Expecting value"),
        ('{"job_id": 1}\n[1]\n', "line 2: is not a JSON object"),
        ('{"job_id": 1}\n{"job_id": NaN}\n', "line 2: is not JSON: NaN is not a number"),
        ('{"job_id": 1}\n{"zzz": 2}\n', "line 2: job_id: is required but missing; zzz: is not a known field"),
        ('{"plan": 1}\n{"job_id": 1}\n', "line 1: is a plan's first line: send plans with `canceller batch apply`"),
    ],
    ids=[
        "not-utf-8", "not-utf-16", "too-long", "a-zero", "no-header", "open-quote", "text-behind-a-quote",
        "behind-a-quoted-line", "a-column-twice", "half-json", "a-list", "nan", "fields", "a-plan",
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(content: str | bytes, text: str) -> None:
    assert mistakes(content) == [text]


def test_json_that_is_nested_too_deep_is_a_mistake() -> None:
    (text,) = mistakes('{"job_id": 1}\n{"labels":' + "[" * 30_000 + "]" * 30_000 + "}")

    assert text.startswith("line 2: ")


def test_a_csv_file_needs_its_header() -> None:
    assert mistakes("300100\n300101\n", "jobs.CSV") == ["line 1: is not a header: one of its columns must be job_id"]


def test_a_column_that_is_no_field_is_named_with_those_that_are() -> None:
    (text,) = mistakes("job_id,resaon\n1,x\n")

    assert text.startswith("line 1: names a column 'resaon', which can only be job_id, backend, verb, reason, ")
    assert text.endswith("labels.KEY or params.KEY; did you mean reason?")


@pytest.mark.parametrize("field", ["dry_run", "batch_id", "lane", "token"])
def test_a_member_has_no_field_that_is_the_batchs(field: str) -> None:
    (text,) = mistakes(json.dumps({"job_id": 1, field: True if field == "dry_run" else "batch"}))

    assert text.startswith(f"line 1: {field}: ")


def test_a_line_without_a_backend_needs_one_for_all() -> None:
    assert mistakes("1\n2\n", defaults={"verb": "cancel"}) == ["lines 1-2: names no backend: give --backend NAME"]


def test_an_unknown_backend_is_told_with_those_that_are_known() -> None:
    (text,) = mistakes('{"job_id": 1, "backend": "es"}')

    assert text == "line 1: backend: no worker serves it (they serve ess or oml); did you mean ess?"


def test_any_backend_will_do_if_none_is_known() -> None:
    assert len(selected("1\n", backends=())) == 1
