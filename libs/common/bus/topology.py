"""Exchanges, queues, bindings, policies and users of the broker, as data.

`python -m libs.common.bus.topology` prints `deploy/rabbitmq/definitions.json`; a test keeps the two equal. Services declare
nothing: whoever runs the broker imports the definitions, and every tuning value is a policy that can be changed without a
redeploy. Works on RabbitMQ 3.10 to 4.x.
"""

import base64
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import msgspec

from libs.common.contracts.envelope import LEDGER_QUEUES, LEDGER_SHARDS
from libs.common.contracts.wire import COMMANDS, EVENTS

DEAD: Final = "dead"  # exchange (direct): routing key = the queue a message died in
DEAD_SUFFIX: Final = ".dead"


class Rung(msgspec.Struct, frozen=True):
    """A waiting room: a message comes back to the queue named by its routing key after `seconds`."""

    name: str  # of the fanout exchange and of its queue
    seconds: int


RUNGS: Final = (Rung("retry.5s", 5), Rung("retry.30s", 30), Rung("retry.5m", 300), Rung("retry.30m", 1800))


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """A named quorum queue. Policy `rpc` never dead-letters, policy `job` has a `<name>.dead` beside it."""

    name: str
    policy: str  # rpc | job
    bindings: tuple[tuple[str, str], ...]  # (exchange, pattern)
    single_active: bool = False  # one consumer at a time: a queue argument, it cannot be a policy

    @property
    def dead(self) -> str:
        """Where its dead letters lie."""
        return self.name + DEAD_SUFFIX


# What auth turns into webhooks (and, of billing's, projects onto the organization).
_ANNOUNCED: Final = (
    "billing.credits.low.#", "billing.subscription.#", "sessions.model.#",
    "takedowns.url.#", "takedowns.notice.#", "takedowns.action.#", "takedowns.creator.#",
    "takedowns.batch.accepted.#", "takedowns.batch.refunded.#",
    "auth.key.revoked.#", "auth.webhook.disabled.#", "auth.announcement.made.#",
)  # fmt: skip

# What every edge's own queue listens to.
BROADCASTS: Final = ("auth.key.#", "auth.org.#", "billing.balance.#", "billing.subscription.#", "sessions.model.#")


def ledger_queue(number: int) -> str:
    """The name of a money queue."""
    return f"billing.ledger.{number}"


def _ledger_queues() -> Iterator[Queue]:
    width = LEDGER_SHARDS // LEDGER_QUEUES  # neighbouring shards of one queue
    for number in range(LEDGER_QUEUES):
        shards = range(number * width, (number + 1) * width)
        yield Queue(
            name=ledger_queue(number),
            policy="job",
            bindings=tuple((EVENTS, f"#.s{shard:02d}") for shard in shards),
            single_active=True,
        )


QUEUES: Final = (
    Queue(name="auth.rpc", policy="rpc", bindings=((COMMANDS, "auth.rpc.#"),)),
    Queue(
        name="auth.events", policy="job", bindings=tuple((EVENTS, pattern) for pattern in (*_ANNOUNCED, "edge.calls.#"))
    ),
    Queue(name="billing.rpc", policy="rpc", bindings=((COMMANDS, "billing.rpc.#"),)),
    *_ledger_queues(),
    Queue(name="billing.jobs", policy="job", bindings=((COMMANDS, "billing.job.#"),)),
    Queue(name="sessions.rpc", policy="rpc", bindings=((COMMANDS, "sessions.rpc.#"),)),
    Queue(name="sessions.jobs", policy="job", bindings=((COMMANDS, "sessions.job.#"),)),
    Queue(name="takedowns.rpc", policy="rpc", bindings=((COMMANDS, "takedowns.rpc.#"),)),
    Queue(
        name="takedowns.jobs",
        policy="job",
        bindings=((COMMANDS, "takedowns.job.#"), (EVENTS, "takedowns.batch.accepted.#")),
    ),
)

EXCHANGES: Final = (
    (COMMANDS, "topic"),
    (EVENTS, "topic"),
    *((rung.name, "fanout") for rung in RUNGS),
    (DEAD, "direct"),
)

RPC_LENGTH_MAX: Final = 5_000  # calls nobody has taken yet: at 1,000/s they are past most deadlines anyway
JOB_LENGTH_MAX: Final = 500_000  # an hour of debits while billing is away, about 500 MB on disk
DEAD_LENGTH_MAX: Final = 1_000_000
DEAD_LOOKS_MAX: Final = 1_000_000  # every look of an operator counts as a delivery, and 4.x drops after 20 by default
RPC_DELIVERIES_MAX: Final = 2  # a call that kills two workers is not given to a third
JOB_DELIVERIES_MAX: Final = 10  # a crash counts for every message in hand, also for innocent neighbours


@cache
def is_kept(exchange: str, routing_key: str) -> bool:
    """Whether some named queue takes this key. What only edges hear (broadcasts) may have no listener, and that is fine;
    anything else without a queue is an error of the publisher.
    """
    return any(routes_to(queue, exchange, routing_key) for queue in QUEUES)


def routes_to(queue: Queue, exchange: str, routing_key: str) -> bool:
    """Whether `queue` gets what is published under `routing_key`."""
    return any(source == exchange and matches(pattern, routing_key) for source, pattern in queue.bindings)


def matches(pattern: str, routing_key: str) -> bool:
    """Topic matching as the broker does it: `*` is one word, `#` any number of words."""
    return _matches(pattern.split("."), routing_key.split("."))


def _matches(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(_matches(pattern[1:], words[n:]) for n in range(len(words) + 1))
    return bool(words) and pattern[0] in {"*", words[0]} and _matches(pattern[1:], words[1:])


def policies() -> dict[str, dict[str, Any]]:
    """Queue name -> its policy's definition. Only one policy applies to a queue, so each queue has its own."""
    found: dict[str, dict[str, Any]] = {}
    for queue in QUEUES:
        if queue.policy == "rpc":
            found[queue.name] = {
                "delivery-limit": RPC_DELIVERIES_MAX, "max-length": RPC_LENGTH_MAX, "overflow": "reject-publish",
            }  # fmt: skip
            continue
        found[queue.name] = {
            "dead-letter-exchange": DEAD,
            "dead-letter-routing-key": queue.name,
            "dead-letter-strategy": "at-least-once",
            "delivery-limit": JOB_DELIVERIES_MAX,
            "max-length": JOB_LENGTH_MAX,
            "overflow": "reject-publish",
        }
        found[queue.dead] = {
            "delivery-limit": DEAD_LOOKS_MAX, "max-length": DEAD_LENGTH_MAX, "overflow": "reject-publish",
        }  # fmt: skip
    for rung in RUNGS:
        # No dead-letter key: an expired message falls back to the queue that its routing key names.
        found[rung.name] = {
            "dead-letter-exchange": "",
            "dead-letter-strategy": "at-least-once",
            "max-length": JOB_LENGTH_MAX,
            "message-ttl": rung.seconds * 1_000,
            "overflow": "reject-publish",
        }
    return found


class User(msgspec.Struct, frozen=True, kw_only=True):
    """What a login may do: patterns for names of queues and exchanges, and per topic exchange for routing keys."""

    configure: str = "^$"
    write: str
    read: str
    events_write: str = "^$"
    commands_write: str = "^$"
    tags: str = ""


# Replies need write on `amq.default`, which reaches any queue by name; the consumer's sender check closes that hole.
_WORKER_WRITE: Final = r"^(commands|events|retry\..*|dead|amq\.default)$"


def _worker(name: str, commands: str = "", *, configure: str = "^$") -> User:
    return User(
        configure=configure,
        write=_WORKER_WRITE,
        read=rf"^{name}\.",
        events_write=rf"^{name}\.",
        commands_write=commands or rf"^{name}\.job\.",
    )


USERS: Final = {
    "edge": User(
        configure=r"^edge\.",
        write=r"^(commands|events|edge\..*)$",
        read=r"^(edge\..*|events)$",
        events_write=r"^edge\.",
        commands_write=r"^(auth|billing|sessions|takedowns)\.rpc\.",
    ),
    "auth": _worker("auth"),
    "billing": _worker("billing"),
    "sessions": _worker("sessions"),
    # It calls too: with FANGATE_BUS_REPLY=queue its answers come by a queue of its own.
    "takedowns": _worker("takedowns", r"^(takedowns\.job|billing\.(rpc|job))\.", configure=r"^takedowns\.reply\."),
    # The operator's tools read dead letters and put them back where they came from.
    "operator": User(write=r"^(dead|amq\.default)$", read=r"^.*\.dead$", tags="monitoring"),
}


def definitions(vhost: str = "/", users: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The topology of one vhost in the format of the management API (`POST /api/definitions`).

    `users` maps names of `USERS` to passwords: those logins are created (or given that password) too; an empty password
    makes a login that nobody can use until it gets one. Without `users`, the logins of `USERS` must exist already.
    """
    logins = tuple(USERS if users is None else users)
    return {
        "vhosts": [{"name": vhost}],
        **({} if users is None else {"users": [_login(name, password) for name, password in users.items()]}),
        "permissions": [_permission(name, vhost) for name in logins],
        "topic_permissions": [
            {"user": name, "vhost": vhost, "exchange": exchange, "write": pattern, "read": ".*"}
            for name in logins
            for exchange, pattern in ((EVENTS, USERS[name].events_write), (COMMANDS, USERS[name].commands_write))
        ],
        "exchanges": [
            {"name": name, "vhost": vhost, "type": kind, "durable": True, "auto_delete": False, "internal": False, "arguments": {}}
            for name, kind in EXCHANGES
        ],
        "queues": [_queue(name, vhost, single_active=single) for name, single in _queue_names()],
        "bindings": [
            {
                "source": source, "vhost": vhost, "destination": queue, "destination_type": "queue",
                "routing_key": key, "arguments": {},
            }
            for source, queue, key in _bindings()
        ],
        "policies": [
            # `queues` and not `quorum_queues`: 3.10 does not know the latter.
            {
                "name": name, "vhost": vhost, "pattern": "^" + name.replace(".", "\\.") + "$", "apply-to": "queues",
                "priority": 0, "definition": definition,
            }
            for name, definition in policies().items()
        ],
    }  # fmt: skip


def _permission(name: str, vhost: str) -> dict[str, str]:
    role = USERS[name]
    return {"user": name, "vhost": vhost, "configure": role.configure, "write": role.write, "read": role.read}


def _login(name: str, password: str) -> dict[str, str]:
    salt = os.urandom(4)
    digest = (
        base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode("ascii") if password else ""
    )
    return {
        "name": name, "password_hash": digest, "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": USERS[name].tags,
    }  # fmt: skip


def _queue_names() -> Iterator[tuple[str, bool]]:
    for queue in QUEUES:
        yield queue.name, queue.single_active
        if queue.policy == "job":
            yield queue.dead, False
    for rung in RUNGS:
        yield rung.name, False


def _queue(name: str, vhost: str, *, single_active: bool) -> dict[str, Any]:
    arguments: dict[str, Any] = {"x-queue-type": "quorum"}
    if single_active:
        arguments["x-single-active-consumer"] = True
    return {"name": name, "vhost": vhost, "durable": True, "auto_delete": False, "arguments": arguments}


def _bindings() -> Iterator[tuple[str, str, str]]:
    for queue in QUEUES:
        for exchange, pattern in queue.bindings:
            yield exchange, queue.name, pattern
        if queue.policy == "job":
            yield DEAD, queue.dead, queue.name
    for rung in RUNGS:
        yield rung.name, rung.name, ""


if __name__ == "__main__":
    json.dump(definitions(users=dict.fromkeys(USERS, "")), sys.stdout, indent=1)
    sys.stdout.write("\n")
