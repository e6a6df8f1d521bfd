import pytest

from worker.settings.quantities import seconds, size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("250ms", 0.25, id="milliseconds"),
        pytest.param("2s", 2.0, id="seconds"),
        pytest.param("30m", 1800.0, id="minutes"),
        pytest.param("24h", 86400.0, id="hours"),
        pytest.param("7d", 604800.0, id="days"),
        pytest.param("1h30m", 5400.0, id="two-units"),
        pytest.param("1d 2h 0.5s 250ms", 93600.75, id="units-with-spaces"),
        pytest.param("1.5h", 5400.0, id="fraction"),
        pytest.param(" 2 s ", 2.0, id="spaces"),
        pytest.param("90", 90.0, id="bare-number-in-text"),
        pytest.param(90, 90.0, id="int"),
        pytest.param(0.5, 0.5, id="float"),
        pytest.param(0, 0.0, id="zero"),
    ],
)
def test_a_duration_is_read_as_seconds(text: object, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("-1s", id="negative-text"),
        pytest.param(-1, id="negative"),
        pytest.param(float("nan"), id="nan"),
        pytest.param(float("inf"), id="inf"),
        pytest.param("nan", id="nan-text"),
        pytest.param("9" * 400, id="overflow-text"),
        pytest.param(10**400, id="overflow-int"),
        pytest.param(True, id="bool"),
        pytest.param("", id="empty"),
        pytest.param("2 weeks", id="unknown-unit"),
        pytest.param("30m1h", id="units-in-the-wrong-order"),
        pytest.param("1h 2", id="a-number-without-its-unit"),
        pytest.param("2S", id="wrong-case"),
        pytest.param("2s\n3s", id="two-lines"),
        pytest.param("\u0662s", id="other-digits"),
        pytest.param(None, id="none"),
        pytest.param(["2s"], id="list"),
    ],
)
def test_what_is_no_duration_is_refused_with_the_units(value: object) -> None:
    with pytest.raises(ValueError, match="d, h, m, s or ms"):
        seconds(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("1MB", 1_000_000, id="mb"),
        pytest.param("512KB", 512_000, id="kb"),
        pytest.param("1.5mb", 1_500_000, id="fraction-lower-case"),
        pytest.param("1MiB", 1_048_576, id="mib"),
        pytest.param("10B", 10, id="bytes"),
        pytest.param(4096, 4096, id="int"),
    ],
)
def test_a_size_is_read_as_bytes(text: object, expected: int) -> None:
    assert size(text) == expected


@pytest.mark.parametrize("value", ["1XB", "-1", True, -5, "1.5B", float("inf"), None, ""])
def test_what_is_no_size_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="1MB"):
        size(value)
