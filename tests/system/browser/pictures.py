"""Takes pictures of the board in a real run: the README's picture, or all pages that are worth a look, into a folder.

`PYTHONPATH=.:tests python tests/system/browser/pictures.py worker/guide/board.png`
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from system.browser.chromium import Chromium, chromium
from system.browser.place import TOKEN, Place, place

PHONE: dict[str, Any] = {"width": 390, "height": 844}
SPEED = 20.0
"""Seconds of the backends' clock per real second: half an hour lasts 90 s."""
MANY = 10_000


def signed_in(browser: Chromium, there: Place, path: str = "", **size: Any) -> None:
    """Open a page in a new browser."""
    browser.do("open", **size)
    browser.do("go", url=there.url)
    browser.do("type", text=TOKEN)
    browser.do("press", keys=["Enter"])
    browser.do("wait", text="Backends")
    if path:
        browser.do("go", url=there.url + path)
    browser.do("wait", text="live")


def busy(there: Place) -> None:
    """Fill the deployment as on a normal day: held gates, forces to come, a batch, a rejected command."""
    for job_id, who, why in (("300100", "billing", "over budget, ticket 4711"), ("300107", "ann", "wrong region")):
        there.make("ess", job_id, life="stuck")
        there.client.cancel("ess", job_id, requested_by=who, reason=why)
    there.cell.wait_until(lambda: len(there.cell.of("force_held")) >= 2, seconds=300)
    for number in range(4):
        there.make("ess", f"30020{number}", life="stuck")
        there.client.cancel("ess", f"30020{number}", requested_by="night-watch", reason="runs for two days")
    there.cell.send("cancel", backend="nowhere", job_id="1")
    there.cell.wait_until(lambda: len(there.cell.of("cancel_sent")) >= 6)
    commands = []
    for number in range(120):
        there.make("sahara", f"stale-{number}", life="runs")
        commands.append({"verb": "cancel", "backend": "sahara", "job_id": f"stale-{number}"})
    there.client.batch(commands, batch_id="clean-up-november", rate=8)


def draw_readmes(file: Path, browser: Chromium, there: Place) -> None:
    """Take the README's picture of a busy deployment."""
    busy(there)
    signed_in(browser, there, width=1120, height=1380)
    browser.do("wait", text="stopped")
    browser.do("shot", path=str(file), whole=False)


def draw_all(folder: Path, browser: Chromium, there: Place) -> None:
    """Take the pictures that are worth a look when a page has changed."""

    def shot(name: str, *, whole: bool = True) -> None:
        browser.do("shot", path=str(folder / f"{name}.png"), whole=whole)

    signed_in(browser, there)
    shot("empty")
    draw_readmes(folder / "board.png", browser, there)
    signed_in(browser, there, dark=True)
    shot("dark")
    signed_in(browser, there, **PHONE)
    shot("phone")
    there.fail("mrs", "error", http=503)
    for number in range(6):
        there.make("mrs", f"m-{number}", life="runs")
        there.client.cancel("mrs", f"m-{number}")
    there.cell.wait_until(lambda: bool(there.cell.of("paused")))
    signed_in(browser, there)
    browser.do("wait", text="failures in a row")
    shot("backend-down")
    held = there.cell.of("force_held")[0]["cancellationid"]
    signed_in(browser, there, f"cancellations/{held}?act=attest")
    shot("job")
    signed_in(browser, there, "batches/clean-up-november?act=pause")
    shot("batch")
    before = len(there.cell.of("accepted"))
    there.client.submit_many(
        [{"verb": "cancel", "backend": "mrs", "job_id": str(400_000 + number)} for number in range(MANY)]
    )
    there.cell.wait_until(lambda: len(there.cell.of("accepted")) >= before + MANY, seconds=300)
    signed_in(browser, there, "open?page=7")
    shot("many", whole=False)
    signed_in(browser, there)
    shot("many-overview", whole=False)


def main(target: Path) -> None:
    """Take one picture, or all into a folder."""
    with (
        tempfile.TemporaryDirectory() as directory,
        place(Path(directory), SPEED, workers=2) as there,
        chromium() as browser,
    ):
        (draw_readmes if target.suffix == ".png" else draw_all)(target, browser, there)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
