"""Claims of the rate gate on a real Redis: all pods keep to one limit, and a pod that joins is not starved."""

from __future__ import annotations

from redis.asyncio import Redis


async def test_a_pod_that_joins_busy_ones_calls_by_the_limit_that_they_learned(redis_port: int) -> None:
    from issue_service.rate_gate import RateGate, ask_redis

    redis = Redis(host="127.0.0.1", port=redis_port)
    try:
        await redis.flushall()
        busy, joining = RateGate(ask_redis(redis)), RateGate(ask_redis(redis))
        busy.learn({"X-RateLimit-Limit": "80", "RateLimit-Policy": "80;w=1000"})
        for _ in range(20):  # more in the window than a pod that knows no limit allows itself
            await busy.permit()

        await joining.permit()

        assert joining.waits == 0
        assert await redis.zcard("issues:calls") == 21
    finally:
        await redis.aclose()
