from __future__ import annotations

import asyncio
import re

from gateway import trace
from gateway.trace import TraceContext


def test_a_traceparent_is_written_as_the_standard_says() -> None:
    context = TraceContext(0x0AF7651916CD43DD8448EB211C80319C, 0x00F067AA0BA902B7)
    assert context.traceparent == "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", trace.begin().traceparent)


def test_the_same_path_is_the_same_span_and_another_is_not() -> None:
    context = trace.begin()
    assert context.child("turn", 3) == context.child("turn", 3)
    assert context.child("turn", 3) != context.child("turn", 4)
    assert context.child("turn", 3).trace_id == context.trace_id


async def test_tasks_of_one_call_do_not_see_the_trace_of_another() -> None:
    async def call(context: TraceContext | None) -> TraceContext | None:
        trace.enter(context)
        return await asyncio.create_task(_asked())

    async def _asked() -> TraceContext | None:
        return trace.current()

    contexts = [trace.begin(), trace.begin(), None]
    assert await asyncio.gather(*map(call, contexts)) == contexts
    assert trace.current() is None
