"""The board in a real browser, at desktop and phone width: live, by keyboard alone, without browser errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from system.browser.chromium import Chromium, chromium
from system.browser.place import TOKEN, Place, place

SIZES = {"wide": {"width": 1280, "height": 900}, "a phone": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("board")) as one:
        yield one


@pytest.fixture(scope="module")
def driver() -> Iterator[Chromium]:
    with chromium() as one:
        yield one


@pytest.fixture(params=SIZES.values(), ids=SIZES)
def browser(request: pytest.FixtureRequest, there: Place, driver: Chromium) -> Chromium:
    """A browser of some size that is signed in, by keyboard."""
    driver.do("open", **request.param)
    assert driver.do("go", url=there.url) == 200
    driver.do("type", text=TOKEN)
    driver.do("press", keys=["Enter"])
    driver.do("wait", text="Backends")
    return driver


def check(browser: Chromium) -> None:
    """Check that a page has no browser errors and no axe-core findings, and fits the width of the screen."""
    assert browser.do("problems") == []
    assert [one for one in browser.do("axe") if one["impact"] in {"serious", "critical"}] == []
    assert browser.do("wider") <= 0


def fill(browser: Chromium, reason: str) -> None:
    """Fill in, by keyboard, a form whose first field has the focus, and send it."""
    assert browser.do("focused")["name"] == "by"
    browser.do("press", keys=["Control+A"])
    browser.do("type", text="ann")
    browser.do("press", keys=["Tab"])
    browser.do("type", text=reason)
    browser.do("press", keys=["Enter"])


def job_id(request: pytest.FixtureRequest, kind: str) -> str:
    """Return the id of a job that only this test uses."""
    return f"{kind}{list(SIZES).index(request.node.callspec.id) + 1}"


def test_a_held_gate_appears_and_is_attested_by_keyboard(
    browser: Chromium, there: Place, request: pytest.FixtureRequest
) -> None:
    job = job_id(request, "30010")
    there.make("ess", job, life="stuck")
    there.client.cancel("ess", job, reason="over budget", requested_by="billing")
    browser.do("wait", text="nobody has given their word")
    check(browser)

    browser.do("reach", text="Attest")
    browser.do("press", keys=["Enter"])
    browser.do("wait", text="Who you are")
    check(browser)
    fill(browser, "ps shows nothing on the host")
    browser.do("wait", text="The attestation has taken effect")
    browser.do("wait", text="Ended as force_cancelled")

    events = browser.do("text", selector=".events")
    assert all(text in events for text in ("force held", "ps shows nothing on the host", "force sent", "finished"))
    check(browser)


def test_a_batch_is_paused_and_resumed_by_keyboard(
    browser: Chromium, there: Place, request: pytest.FixtureRequest
) -> None:
    batch_id = job_id(request, "clean-up-")
    commands: list[dict[str, Any]] = []
    for number in range(40):
        there.make("sahara", f"{batch_id}-{number}", life="runs")
        commands.append({"verb": "cancel", "backend": "sahara", "job_id": f"{batch_id}-{number}"})
    there.client.batch(commands, batch_id=batch_id, rate=2)
    browser.do("wait", text=batch_id)

    browser.do("reach", text="Pause")
    browser.do("press", keys=["Enter"])
    browser.do("wait", text="Who you are")
    fill(browser, "the database is slow")
    browser.do("wait", text="Pause has taken effect")
    check(browser)

    browser.do("go", url=f"{there.url}batches/{batch_id}")
    browser.do("reach", text="Resume")
    browser.do("press", keys=["Enter"])
    browser.do("wait", text="Who you are")
    fill(browser, "it is fast again")
    browser.do("wait", text="Resume has taken effect")
    check(browser)


@pytest.mark.parametrize("path", ["", "open", "batches", "dead-letters", "search?q=nothing"])
def test_every_page_is_sound(path: str, browser: Chromium, there: Place) -> None:
    there.client.cancel("ess", "300500", labels={"x": "<script>alert(1)</script>"})
    there.cell.redis.xadd("{canceller}:dead", {"reason": "x" * 300, "raw": "<script>" * 40, "mark": "m m"})
    browser.do("go", url=there.url + path)
    browser.do("wait", text="live" if not path.startswith("search") else "Nothing")

    check(browser)


def test_what_has_the_focus_keeps_it_while_the_page_changes(
    browser: Chromium, there: Place, request: pytest.FixtureRequest
) -> None:
    job = job_id(request, "30070")
    there.make("ess", job, life="stuck")
    there.client.cancel("ess", job)
    browser.do("wait", text="Held gates")
    browser.do("reach", text="Abort")
    before = browser.do("focused")["id"]
    there.client.cancel("mrs", f"unknown-{job}")
    there.make("ess", f"{job}9", life="stuck")
    there.client.cancel("ess", f"{job}9")
    browser.do("wait", text=f"ess {job}9")

    assert browser.do("focused")["id"] == before
