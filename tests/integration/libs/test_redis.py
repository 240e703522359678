"""The Redis client against servers that restart, are promoted, stall and die."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from libs.common.redis import client as client_module
from libs.common.redis.client import Epoch, Redis, RedisAway, RedisUnreached, StoreReadonly, StoreRefused
from libs.common.redis.scripts import script
from tests.support.servers import OwnRedis

StartRedis = Callable[[], Awaitable[OwnRedis]]
Connect = Callable[..., Redis]
PATIENCE = 20.0

ECHO = script("echo", "return {KEYS[1], ARGV[1], ARGV[2], 7}")
WRITE = script("write", "return redis.call('INCRBY', KEYS[1], ARGV[1])")
GUARDED = script(
    "guarded",
    """if string.match(redis.call('INFO', 'replication'), 'master_replid:(%x%x%x%x%x%x%x%x)') ~= ARGV[1] then return 9 end
       return redis.call('INCRBY', KEYS[1], 1)""",
)


async def echo(redis: Redis, number: int) -> Any:
    return await redis.run(ECHO, lambda epoch: [f"k:{epoch.run_id}"], lambda epoch: [number, epoch.reign])


async def until_back(redis: Redis) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await redis.ping()
            except RedisAway:
                await asyncio.sleep(0.05)


@pytest.fixture
def resets() -> list[str]:
    return []


@pytest.fixture
async def connect(resets: list[str]) -> AsyncIterator[Connect]:
    """Makes clients that note their resets and are closed at the end."""
    made: list[Redis] = []

    def make(url: str, **options: Any) -> Redis:
        redis = Redis.create(url, **options)
        redis.on_reset.append(lambda: resets.append("reset"))
        made.append(redis)
        return redis

    yield make
    for redis in made:
        await redis.close()


async def test_a_script_runs_with_keys_and_arguments_of_its_connections_epoch(connect: Connect, redis_url: str) -> None:
    redis = connect(redis_url)
    epoch = await redis.epoch()
    assert await echo(redis, 5) == [f"k:{epoch.run_id}", "5", epoch.reign, 7]
    assert epoch.name == str(epoch) == epoch.run_id + epoch.reign
    assert (len(epoch.run_id), len(epoch.reign)) == (40, 8)


async def test_a_script_is_loaded_when_the_server_does_not_know_it(connect: Connect, redis_server: StartRedis) -> None:
    redis = connect((await redis_server()).url)
    assert (await echo(redis, 1))[1] == "1"
    await redis.command("SCRIPT", "FLUSH")
    answers = await asyncio.gather(*(echo(redis, number) for number in range(20)))
    assert [answer[1] for answer in answers] == [str(number) for number in range(20)]
    assert (await redis.command("SCRIPT", "EXISTS", ECHO.sha)) == [1]


async def test_a_restart_is_another_epoch_and_is_told(
    connect: Connect, redis_server: StartRedis, resets: list[str]
) -> None:
    server = await redis_server()
    redis = connect(server.url)
    before = await redis.epoch()
    assert resets == []
    await server.restart()
    await until_back(redis)
    after = await redis.epoch()
    assert after.run_id != before.run_id
    assert resets
    assert (await echo(redis, 1))[0] == f"k:{after.run_id}"


async def test_a_flush_keeps_the_epoch_and_takes_the_data(
    connect: Connect, redis_server: StartRedis, resets: list[str]
) -> None:
    # the lease is gone with its hash: nothing is left that could be spent, so no new epoch is needed
    server = await redis_server()
    redis = connect(server.url)
    before = await redis.epoch()
    await redis.run(WRITE, lambda epoch: [f"lz:{epoch}"], lambda _: [7])
    await redis.command("FLUSHALL")
    assert await redis.epoch() == before
    assert await redis.command("EXISTS", f"lz:{before}") == 0
    assert resets == []


async def test_a_promoted_replica_is_another_epoch_in_the_same_process(
    connect: Connect, redis_server: StartRedis, resets: list[str]
) -> None:
    # given a replica with a copy of the master's data, and a client connected to it
    master, replica = await redis_server(), await redis_server()
    operator = connect(replica.url)
    await connect(master.url).command("CONFIG", "SET", "repl-diskless-sync-delay", "0")
    await operator.command("REPLICAOF", "127.0.0.1", int(master.url.rpartition(":")[2].partition("/")[0]))
    async with asyncio.timeout(PATIENCE):
        while "master_link_status:up" not in await operator.command("INFO", "replication"):
            await asyncio.sleep(0.05)
    redis = connect(replica.url)
    as_replica = await redis.epoch()
    assert as_replica.reign == (await connect(master.url).epoch()).reign

    # when it is written to, it refuses, and it certainly did nothing
    with pytest.raises(StoreReadonly):
        await redis.run(WRITE, lambda _: ["k"], lambda _: [1])
    assert resets == ["reset"]
    assert await redis.epoch() == as_replica

    # when it is promoted under the client's open connection, the script sees what the client cannot
    await operator.command("REPLICAOF", "NO", "ONE")
    assert await redis.run(GUARDED, lambda _: ["k"], lambda epoch: [epoch.reign]) == 9
    await redis.reset()
    promoted = await redis.epoch()
    assert promoted.run_id == as_replica.run_id
    assert promoted.reign != as_replica.reign
    assert await redis.run(GUARDED, lambda _: ["k"], lambda epoch: [epoch.reign]) == 1


async def test_connections_from_before_a_reset_are_opened_anew(
    connect: Connect, redis_server: StartRedis, resets: list[str]
) -> None:
    server = await redis_server()
    redis = connect(server.url, size_max=4)
    await asyncio.gather(*(echo(redis, number) for number in range(40)))
    ids = {await redis.command("CLIENT", "ID") for _ in range(10)}
    await redis.reset()
    assert not ids & {await redis.command("CLIENT", "ID") for _ in range(10)}
    assert resets == ["reset"]


async def test_a_lost_connection_resets_once_and_only_if_there_was_one(
    connect: Connect, redis_server: StartRedis, resets: list[str]
) -> None:
    server = await redis_server()
    redis = connect(server.url)
    await redis.ping()
    await server.kill()
    for _ in range(4):
        with pytest.raises(RedisAway):
            await redis.ping()
    assert resets == ["reset"]


async def test_nothing_listens_is_known_to_have_had_no_effect(connect: Connect) -> None:
    redis = connect("redis://127.0.0.1:9/0")
    with pytest.raises(RedisUnreached):
        await redis.ping()


@pytest.mark.alone  # it measures time
async def test_a_stalled_server_costs_at_most_twice_the_timeout_and_then_nothing(
    connect: Connect, redis_server: StartRedis, resets: list[str]
) -> None:
    server = await redis_server()
    redis = connect(server.url)
    await redis.ping()
    await server.pause()
    waits = []
    for _ in range(5):
        started = time.monotonic()
        with pytest.raises(RedisAway) as outcome:
            await redis.run(WRITE, lambda _: ["k"], lambda _: [1])
        waits.append(time.monotonic() - started)
    assert min(waits) <= 0.3
    assert max(waits) < 2.0  # whatever else this machine does
    started = time.monotonic()
    with pytest.raises(RedisUnreached) as outcome:
        await redis.ping()
    assert "breaker" in outcome.value.detail
    assert time.monotonic() - started < 0.15
    await server.resume()
    await until_back(redis)
    assert resets == []  # it is the same server in the same reign


async def test_a_script_is_the_probe_of_an_open_breaker_and_the_server_came_back_empty(
    connect: Connect, redis_server: StartRedis
) -> None:
    server = await redis_server()
    redis = connect(server.url)
    await echo(redis, 1)
    await server.stop()
    refused = ""
    async with asyncio.timeout(PATIENCE):
        while "breaker" not in refused:
            with pytest.raises(RedisAway) as outcome:
                await echo(redis, 2)
            refused = outcome.value.detail
    await server.start()
    async with asyncio.timeout(PATIENCE):
        while True:
            try:  # by scripts alone: the first that gets through is told NOSCRIPT
                answer = await echo(redis, 3)
                break
            except RedisAway:
                await asyncio.sleep(0.05)
    assert answer[1] == "3"


async def test_a_request_that_was_under_way_when_the_server_died_is_unknown(
    connect: Connect, redis_server: StartRedis
) -> None:
    server = await redis_server()
    redis = connect(server.url, timeout_s=5.0)
    await redis.ping()
    await server.pause()
    request = asyncio.create_task(redis.run(WRITE, lambda _: ["k"], lambda _: [1]))
    await asyncio.sleep(0.1)
    await server.kill()
    with pytest.raises(RedisAway) as outcome:
        await request
    assert not isinstance(outcome.value, RedisUnreached)


async def test_an_answer_never_reaches_another_request(connect: Connect, redis_server: StartRedis) -> None:
    # given requests that time out or are cancelled while their answers are still on the way
    server = await redis_server()
    redis = connect(server.url, size_max=8, timeout_s=0.1)
    wrong: list[object] = []
    answered = 0

    async def ask(base: int) -> None:
        nonlocal answered
        for number in range(base, base + 60):
            try:
                async with asyncio.timeout(0.02 if number % 7 == 0 else 5.0):
                    answer = await echo(redis, number)
            except (RedisAway, TimeoutError):
                await asyncio.sleep(0.01)
                continue
            answered += 1
            if answer[1] != str(number):
                wrong.append((number, answer))

    async def disturb() -> None:
        for _ in range(6):
            await asyncio.sleep(0.1)
            await server.pause()
            await asyncio.sleep(0.15)
            await server.resume()

    await asyncio.gather(disturb(), *(ask(base * 1000) for base in range(12)))
    await until_back(redis)
    assert (await echo(redis, 42))[1] == "42"
    assert wrong == []
    assert answered


async def test_more_requests_than_connections_wait_their_turn(connect: Connect, redis_url: str) -> None:
    redis = connect(redis_url, size_max=2, timeout_s=5.0)
    answers = await asyncio.gather(*(echo(redis, number) for number in range(300)))
    assert [int(answer[1]) for answer in answers] == list(range(300))


async def test_a_refusal_is_ours_and_does_not_open_the_breaker(connect: Connect, redis_url: str) -> None:
    redis = connect(redis_url)
    await redis.command("SET", "text", "x")
    for _ in range(10):
        with pytest.raises(StoreRefused):
            await redis.run(WRITE, lambda _: ["text"], lambda _: [1])
    await redis.ping()


async def test_a_defect_of_the_caller_leaves_connection_and_breaker_alone(connect: Connect, redis_url: str) -> None:
    redis = connect(redis_url, size_max=1)

    def broken(_epoch: Epoch) -> list[str]:
        raise KeyError("ours")

    for _ in range(10):
        with pytest.raises(KeyError):
            await redis.run(ECHO, broken, lambda _: [])
    await redis.ping()
    assert client_module.REDIS_IN_USE._value.get() == 0


async def test_a_server_that_is_full_refuses(connect: Connect, redis_server: StartRedis) -> None:
    redis = connect((await redis_server()).url)
    await redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    await redis.command("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreRefused, match="maxmemory"):
        await redis.run(WRITE, lambda _: ["k"], lambda _: [1])


async def test_a_login_with_the_rights_of_an_edge_is_enough(connect: Connect, redis_server: StartRedis) -> None:
    server = await redis_server()
    operator = connect(server.url)
    rules = (
        "~adm:* ~lz:* ~fail:* -@all +evalsha +script|load +info +time +hget +hmget +hset +hincrby +get +set +del +expire"
        " +pexpire +ping +hello +auth +client"
    )
    await operator.command("ACL", "SETUSER", "edge", "on", ">test-only", *rules.split())
    redis = connect(server.url.replace("redis://", "redis://edge:test-only@"))
    assert (await redis.run(ECHO, lambda _: ["lz:1"], lambda _: [1, 2]))[0] == "lz:1"
    with pytest.raises(StoreRefused):
        await redis.command("FLUSHALL")
