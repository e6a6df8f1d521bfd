"""The choice of a transport: one setting, which only workers need the packages for."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
import uvloop

from config.backends import BackendConfig, load_backends
from config.errors import ConfigurationError
from config.settings import Settings
from worker.backends.http import wire_of
from worker.backends.tls import Tls
from worker.backends.wire import Proxy
from worker.backends.wire_aiohttp import AiohttpWire
from worker.backends.wire_fast import FastWire
from worker.connection import LoopThread
from worker.wiring import backends_of, headers_of, http_of

EXAMPLE = Path(__file__).parents[2] / "config/backends.toml"


def settings(transport: str) -> Settings:
    return Settings.load({"CANCELLER_TRANSPORT": transport, "CANCELLER_BACKENDS": str(EXAMPLE)})


def config() -> BackendConfig:
    return next(iter(load_backends(EXAMPLE).values()))


def test_the_default_is_aiohttp() -> None:
    assert isinstance(http_of(config(), Settings.load({}).transport)._wire, AiohttpWire)


def test_fast_is_one_setting() -> None:
    assert isinstance(http_of(config(), settings("fast").transport)._wire, FastWire)


def test_a_backend_with_a_proxy_gets_aiohttp_with_either() -> None:
    behind = config().model_copy(update={"proxy": "http://proxy:3128"})

    assert isinstance(http_of(behind, settings("fast").transport)._wire, AiohttpWire)


def test_another_transport_is_a_mistake_that_names_the_right_ones() -> None:
    with pytest.raises(ConfigurationError, match="CANCELLER_TRANSPORT: must be 'aiohttp' or 'fast'"):
        settings("httpx")


@pytest.mark.parametrize("missing", ["pyreqwest", "uvloop"])
def test_without_its_packages_a_worker_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    assert settings("fast").transport == "fast"  # producers of the same deployment need no package
    with pytest.raises(ConfigurationError, match=r"CANCELLER_TRANSPORT: .*pip install 'canceller\[fast\]'"):
        backends_of(settings("fast"))


def test_without_the_packages_the_default_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyreqwest", None)
    monkeypatch.setitem(sys.modules, "uvloop", None)

    assert backends_of(settings("aiohttp"))
    assert not isinstance(loop_of(LoopThread("test")), uvloop.Loop)


def test_a_ca_file_that_is_missing_is_told_at_once_with_either() -> None:
    with pytest.raises(OSError, match="No such file"):
        wire_of("fast", Tls(ca_file="/missing.pem"))


@pytest.mark.parametrize("fast", [False, True])
def test_a_fast_worker_runs_on_uvloop(fast: bool) -> None:  # noqa: FBT001
    assert isinstance(loop_of(LoopThread("test", fast=fast)), uvloop.Loop) == fast


def loop_of(thread: LoopThread) -> asyncio.AbstractEventLoop:
    """Return the loop that a thread runs."""

    async def running() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    try:
        return thread.call(running(), timeout=5)
    finally:
        thread.close()


def test_no_reply_may_repeat_what_a_proxy_is_shown() -> None:
    proxies = (Proxy("http://proxy:3128", "Basic aHVudGVyMg=="), None, Proxy("http://other:3128"))

    assert headers_of(config(), *proxies).to_proxy == ("Basic aHVudGVyMg==",)
