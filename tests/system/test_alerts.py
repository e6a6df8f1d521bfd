"""A deployment gets into each kind of trouble that has an alert rule; the metrics that it exports make the rule fire.

Prometheus's own tool evaluates the rules, with the values that worker and exporter served; hours of them take no time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import pytest
from support.cell import Cell, cell
from support.ports import free_ports
from support.prometheus import PROMTOOL, failures, panels, rules
from support.served import Series, get, series, until
from support.shell import read_until, running

COMMON = """
auth = { type = "none" }
poll = { first = "200ms", max = "30s", factor = 4 }
timeout = "1s"
"""
BACKENDS = f"""
[backends.ess]
kind = "oracle-ess"
base_url = "{{ess}}"
force_after = "1s"
warn_after = "1s"
{COMMON}
[backends.slow]
kind = "oracle-ess"
base_url = "{{ess}}"
rate = 2.0
{COMMON}
[backends.down]
kind = "oracle-ml"
base_url = "http://127.0.0.1:1"
breaker = {{ failures = 2, pause = "1h" }}
{COMMON}
[sinks.down]
kind = "webhook"
url = "http://127.0.0.1:1"
secret_env = "SINK_SECRET"
"""
KNOBS = {"ess": {"cancel_delay": 0.1, "force_window": 1.0}}
LATE = "canceller_schedule_lateness_seconds"
QUIET, BUSY = 20, 90
"""Minutes for which values are assumed to last: before the trouble, and during it."""
COUNTED = ("_total", "_bucket", "_count", "_sum")

pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="promtool (Debian: prometheus) is not on PATH")


@dataclass
class Scrapes:
    """The exported values at three times, by series: before the trouble, during it, and without any worker."""

    quiet: Series
    busy: Series
    alone: Series

    def values(self) -> Mapping[str, str]:
        """Write each series in the tool's notation: each minute, counters grow by what they grew by between scrapes."""
        return dict(self._values())

    def _values(self) -> Iterator[tuple[str, str]]:
        for name in {**self.quiet, **self.busy, **self.alone}:
            before, then, last = (one.get(name, float("nan")) for one in (self.quiet, self.busy, self.alone))
            counted = name.partition("{")[0].endswith(COUNTED)
            growth = then - (0.0 if isnan(before) else before) if counted else 0.0
            if name.startswith(("canceller_oldest_cancelling_seconds", "canceller_sink_lag_seconds")) and then:
                growth = 60.0  # nothing stops the job or takes the event, so its age grows by a minute each minute
            start = f"_x{QUIET}" if isnan(before) else f"{before:f}+0x{QUIET - 1}"
            middle = f"_x{BUSY}" if isnan(then) else f"{then:f}+{growth:f}x{BUSY - 1}"
            end = f"_x{QUIET}" if isnan(last) else f"{last:f}+0x{QUIET - 1}"
            yield name, f"{start} {middle} {end}"


def scraped(**addresses: str) -> Series:
    """Read `/metrics` of several servers; each series is labelled with its instance."""
    found = {}
    for instance, address in addresses.items():
        status, text = get(f"http://{address}/metrics")
        assert status == 200, text
        for name, value in series(text).items():
            bare, _, labels = name.rstrip("}").partition("{")
            found[f'{bare}{{instance="{instance}"{"," if labels else ""}{labels}}}'] = value
    return found


def late(found: Series) -> bool:
    """Say whether over a fiftieth of all passes began more than 5 s late."""
    count = next((value for name, value in found.items() if name.startswith(f"{LATE}_count")), 0.0)
    soon = next((value for name, value in found.items() if name.startswith(f"{LATE}_bucket") and '"5.0"' in name), 0.0)
    return count > 0 and count - soon > count / 50


def trouble(one: Cell) -> None:
    """Cause all kinds of trouble in which a worker is still alive."""
    one.simulator.add_job("ess", 1, "stuck")
    one.send("cancel", backend="ess", job_id=1)
    for index in range(40):
        one.simulator.add_job("ess", 100 + index)
        one.send("cancel", backend="slow", job_id=100 + index)
    for index in range(3):
        one.send("cancel", backend="down", job_id=f"job-{index}")
    one.send("cancel", backend="nobody's", job_id=1)
    for name in ("rejected", "paused", "overdue", "force_held"):
        one.wait_until(lambda name=name: bool(one.of(name)))  # type: ignore[misc]


@pytest.fixture(scope="module")
def scrapes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scrapes]:
    worker = f"127.0.0.1:{free_ports(1)[0]}"
    directory = tmp_path_factory.mktemp("alerts")
    with cell(directory, BACKENDS, knobs=KNOBS, more={"CANCELLER_HTTP": worker, "SINK_SECRET": "x"}) as one:
        process = one.start_worker()
        with running(one.env, "exporter", "--listen", "127.0.0.1:0") as exporting:
            exporter = read_until(exporting, r"http://(\S+)/metrics")[1]
            one.simulator.add_job("ess", 2)
            one.send("cancel", backend="ess", job_id=2)
            one.wait_finished(1)
            quiet = scraped(worker=worker, exporter=exporter)
            trouble(one)
            assert until(lambda: late(scraped(worker=worker)))
            used = int(one.redis.info("memory")["used_memory"])  # type: ignore[arg-type,index]
            one.redis.config_set("maxmemory", int(used / 0.85))
            memory = 'canceller_redis_memory_ratio{instance="exporter"}'
            assert until(lambda: scraped(exporter=exporter)[memory] > 0.8)
            busy = scraped(worker=worker, exporter=exporter)
            process.stop()
            for index in range(3):
                one.send("cancel", backend="ess", job_id=1000 + index)
            workers = 'canceller_workers{instance="exporter"}'
            assert until(lambda: scraped(exporter=exporter)[workers] == 0)
            yield Scrapes(quiet, busy, scraped(exporter=exporter))


CAUSED_LAST = {"CancellerNoWorkers", "CancellerCommandsWaiting"}


@pytest.mark.parametrize("name", [rule["alert"] for rule in rules()])
def test_an_alert_fires_once_its_cause_lasts_and_not_before(scrapes: Scrapes, name: str, tmp_path: Path) -> None:
    firing = f'ALERTS{{alertname="{name}",alertstate="firing"}}'
    end = QUIET + BUSY
    late_enough = f"{end + QUIET - 2}m" if name in CAUSED_LAST else f"{QUIET + (5 if 'Letters' in name else BUSY - 2)}m"
    expected = {f"{QUIET - 5}m": [(firing, False)], late_enough: [(firing, True)]}
    if name in CAUSED_LAST:
        expected[f"{end - 5}m"] = [(firing, False)]

    assert not list(failures(tmp_path, scrapes.values(), expected))


@pytest.mark.parametrize("title", panels())
def test_a_panel_of_the_dashboard_shows_data(scrapes: Scrapes, title: str, tmp_path: Path) -> None:
    expected = {f"{QUIET + BUSY - 5}m": [(query, True) for query in panels()[title]]}

    assert not list(failures(tmp_path, scrapes.values(), expected))
