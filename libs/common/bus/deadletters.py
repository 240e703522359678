"""Look at dead letters and put them back: `python -m libs.common.bus.deadletters {list,show,replay,drop} <queue>`.

Works as `operator` (FANGATE_AMQP_URL, or FANGATE_AMQP_URL_OPERATOR). A replayed message keeps its id, so the inbox absorbs
one that had its effect; `--new-id` is for those older than the inbox. Each is confirmed in its queue before it leaves the
dead letters; whatever is not matched stays where it is.
"""

import argparse
import asyncio
import getpass
import json
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec
from aio_pika.abc import AbstractRobustChannel

from libs.common.bus.channels import AmqpReceipt, ConfirmedChannel, delivery_of, underlay_of
from libs.common.bus.connection import connect, user_of
from libs.common.bus.consumer import REPLAYED_BY
from libs.common.bus.errors import BUS_ERRORS, BusError
from libs.common.bus.topology import DEAD_SUFFIX, QUEUES
from libs.common.bus.transport import Delivery, Parcel
from libs.common.errors import Unavailable
from libs.common.ids import uuid7
from libs.common.settings import Secret, SettingsError, load

LOOK_MAX: Final = 10_000  # letters held at once while we look through a queue
TIMEOUT_S: Final = 10.0
BODY_SHOWN_MAX: Final = 2_000  # characters; bodies hold no secrets in clear, but they can be long
# What describes the death, and must not travel on into a new life.
OBITUARY: Final = frozenset(
    {"dead-reason", "error-type", "error", "attempts", "failed-at", "service", "original-type", "original-user"}
)


class OperatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the tool reads."""

    amqp_url: Secret


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which letters are meant; None = any."""

    type: str | None = None
    error: str | None = None  # reason, class or a part of the sentence
    org: str | None = None
    limit: int = 100

    def takes(self, delivery: Delivery) -> bool:
        """Whether this letter is meant."""
        headers = delivery.headers
        said = " ".join(str(headers.get(name, "")) for name in ("dead-reason", "error-type", "error"))
        return (
            (self.type is None or delivery.type == self.type)
            and (self.error is None or self.error in said)
            and (self.org is None or headers.get("org") == self.org)
        )


def reborn(delivery: Delivery, queue: str, *, by: str, new_id: bool) -> Parcel:
    """The letter as it goes back into its queue: first attempt again, without its obituary."""
    headers = {
        name: value for name, value in delivery.headers.items() if name not in OBITUARY and not name.startswith("x-")
    }
    return Parcel(
        exchange="",
        routing_key=queue,
        type=delivery.type,
        message_id=str(uuid7()) if new_id else delivery.message_id,
        headers=headers | {"attempt": 1, REPLAYED_BY: by},
        body=delivery.body,
        content_type=delivery.content_type,
    )


def described(delivery: Delivery, *, with_body: bool) -> dict[str, Any]:
    """A letter as one line of JSON."""
    line: dict[str, Any] = {"id": delivery.message_id, "type": delivery.type, "user": delivery.user}
    line |= {name: value for name, value in sorted(delivery.headers.items()) if not name.startswith("x-")}
    if with_body:
        line["body"] = delivery.body.decode("utf-8", "replace")[:BODY_SHOWN_MAX]
    return line


async def letters(channel: AbstractRobustChannel, queue: str, wanted: Filter) -> AsyncIterator[Delivery]:
    """The matching letters. All others that were looked at go back when the channel closes."""
    underlay = await underlay_of(channel)
    matched = 0
    for _ in range(LOOK_MAX):
        message = await underlay.basic_get(queue + DEAD_SUFFIX, timeout=TIMEOUT_S)
        if message.delivery_tag is None or matched == wanted.limit:
            return
        delivery = delivery_of(message, queue, AmqpReceipt(message))
        if wanted.takes(delivery):
            matched += 1
            yield delivery


async def work(url: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Do what the command line says; returns one line per letter that was meant."""
    wanted = Filter(type=arguments.type, error=arguments.error, org=arguments.org, limit=arguments.limit)
    connection = await connect(url, service="operator", role="deadletters")
    try:
        reader = await connection.channel(publisher_confirms=False)
        writer = ConfirmedChannel(
            await connection.channel(publisher_confirms=True, on_return_raises=True), user=user_of(url), app="operator"
        )
        lines = []
        async for delivery in letters(reader, arguments.queue, wanted):
            lines.append(described(delivery, with_body=arguments.verb == "show"))
            if arguments.dry_run or arguments.verb in {"list", "show"}:
                continue
            if arguments.verb == "replay":
                parcel = reborn(delivery, arguments.queue, by=arguments.by, new_id=arguments.new_id)
                await writer.send(parcel, timeout_s=TIMEOUT_S, repeat=True)
            await delivery.receipt.ack()
        return lines
    finally:
        await connection.close()


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m libs.common.bus.deadletters", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("verb", choices=["list", "show", "replay", "drop"])
    parser.add_argument("queue", choices=[queue.name for queue in QUEUES if queue.policy == "job"])
    parser.add_argument("--type", help="only letters of this message type")
    parser.add_argument("--error", help="only letters whose reason, error class or sentence contains this")
    parser.add_argument("--org", type=lambda text: str(uuid.UUID(text)), help="only letters of this organization")
    parser.add_argument("--limit", type=int, default=100, help="at most this many (default 100)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be replayed or dropped")
    parser.add_argument("--new-id", action="store_true", help="replay under a fresh id (letters older than the inbox)")
    parser.add_argument("--by", default=getpass.getuser(), help="who replays (kept in the message)")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """One JSON object per letter on standard output; 0, or 2 with one line on standard error."""
    arguments = parse(argv)
    try:
        settings = load(OperatorSettings, service="operator")
        lines = asyncio.run(work(settings.amqp_url.reveal(), arguments))
    except (SettingsError, BusError, Unavailable, *BUS_ERRORS) as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    for line in lines:
        sys.stdout.write(json.dumps(line) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
