"""Whatever happens to a batch, its counters add up, each member starts once, and the report lists each once."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.batches import Stage, cancel, check_sums
from support.commands import command
from support.stepped_redis import SteppedRedis

from worker.domain.errors import ActionRejected
from worker.protocol.batches import BatchState

MEMBERS = 24


class Died(Exception):
    """The process of this connection has died."""


class MortalRedis(SteppedRedis):
    """A connection that breaks at one script: before it is sent, or before its reply is read."""

    scripts_left = 0
    runs_the_last = False

    async def eval(self, script: str, *parts: Any) -> Any:
        if self.scripts_left:
            self.scripts_left -= 1
            return await super().eval(script, *parts)
        if self.runs_the_last:
            await super().eval(script, *parts)
        raise Died


@dataclass(frozen=True)
class Do:
    """One thing that happens; `amount` and `flag` say how much of it, or which variant."""

    what: str
    amount: int = 1
    flag: bool = False


AMOUNTS, FLAGS = st.integers(1, 8), st.booleans()
HAPPENINGS = st.builds(
    Do,
    st.sampled_from(["feed", "feed", "end", "end", "fail", "die", "join", "pause", "resume", "wait"]),
    AMOUNTS,
    FLAGS,
)
OPTIONS = st.fixed_dictionaries(
    {"max_open": st.integers(1, MEMBERS)},
    optional={"canary": st.integers(0, MEMBERS + 2), "stop_at": st.just(0.2), "rate": st.sampled_from([1, 20])},
)


class Walk:
    """One batch, and another on the same jobs, to which the things happen."""

    def __init__(self, redis: SteppedRedis) -> None:
        self.stage = Stage(redis)
        self.feeder = self.stage.feeder()
        self.redis = redis
        self.alone = 0

    async def do(self, one: Do) -> None:
        stage = self.stage
        match one.what:
            case "feed":
                await self.feeder.round()
            case "end" | "fail":
                outcome, backend = "cancelled" if one.what == "end" else "refused", "oml" if one.flag else "ess"
                await stage.end(one.amount, outcome, backend)
            case "die":
                await self.die(one)
            case "join":
                self.alone += 1
                await stage.store.accept(command(str(one.amount), f"alone-{self.alone}"))
            case "pause" | "resume" | "abort":
                with suppress(ActionRejected):
                    await stage.order(one.what, hold=one.flag and one.what == "pause")
            case "wait":
                stage.pass_time(one.amount / 4)

    async def die(self, one: Do) -> None:
        """Have a feeder work on the batches until it dies; then end its leases, so that others can take over."""
        mortal = MortalRedis(connection_pool=self.redis.connection_pool)
        mortal.at = self.redis.at
        mortal.scripts_left, mortal.runs_the_last = one.amount, one.flag
        with suppress(Died):
            await Stage(mortal).feed()
        await self.redis.delete("{canceller}:feeder:b", "{canceller}:feeder:other")

    async def finish(self) -> None:
        """Go on until both batches have ended."""
        for _ in range(500):
            states = [(await self.stage.status(name)).state for name in ("b", "other")]
            if all(state.final for state in states):
                return
            for name, state in zip(("b", "other"), states, strict=True):
                if state is BatchState.PAUSED:
                    await self.stage.order("resume", name)
            self.stage.pass_time(0.3)
            await self.stage.feed(self.feeder)
            for backend in ("ess", "oml"):
                await self.stage.end(backend=backend)
        raise AssertionError(states)

    async def check(self, *, aborted: bool) -> None:
        report = await self.stage.report()
        assert [one.index for one in report] == list(range(MEMBERS))
        outcomes = Counter(one.outcome for one in report)
        assert None not in outcomes
        assert outcomes == Counter(await self.stage.counts())
        if not aborted:
            assert outcomes["rejected"] == 1
        events = await self.stage.events()
        sent = [event.data["command_ids"][0] for event in events if event.name == "accepted"]
        sent += [event.data["joined"]["command_id"] for event in events if event.name == "joined"]
        assert max(Counter(sent).values()) == 1
        check_sums(await self.stage.events("b"))
        check_sums(await self.stage.events("other"))


async def walk(url: str, options: dict[str, Any], happenings: list[Do], abort_at: int) -> None:
    redis = SteppedRedis.from_url(url)
    await redis.flushall()
    here = Walk(redis)
    members = [cancel(index % 20, backend="oml" if index % 3 == 1 else "ess") for index in range(MEMBERS - 1)]
    await here.stage.send([7, *members], **options)
    await here.stage.send([cancel(index) for index in range(5, 10)], "other")
    for number, one in enumerate(happenings):
        await here.do(Do("abort") if number == abort_at else one)
        for batch_id in ("b", "other"):
            await here.stage.counts(batch_id)  # checks their sum
    await here.finish()
    await here.check(aborted=0 <= abort_at < len(happenings))
    await redis.aclose()


@settings(max_examples=40)
@given(OPTIONS, st.lists(HAPPENINGS, max_size=25), st.sampled_from([-1, 3, 12]))
def test_each_member_starts_once_and_is_counted_once(
    redis_url: str, options: dict[str, Any], happenings: list[Do], abort_at: int
) -> None:
    asyncio.run(walk(redis_url, options, happenings, abort_at))
