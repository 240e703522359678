"""The AsyncAPI 3.0 document of the bus: who says what to whom, from the registry of messages and the topology.

`python -m libs.common.bus.asyncapi` prints `docs/asyncapi.json`; a test keeps the two equal. The document is written from
where the contracts are: a command is received by its owner, an event is sent by it.
"""

import inspect
import json
import sys
from typing import Any, Final

import msgspec

from libs.common.bus import topology
from libs.common.contracts.envelope import LEDGER_SHARDS, Kind, RpcFailure
from libs.common.contracts.registry import REGISTRY, MessageType
from libs.common.contracts.schemas import schemas_of
from libs.common.contracts.wire import COMMANDS, EVENTS

BINDING: Final = "0.3.0"  # of AMQP 0-9-1
REPLIES: Final = "replies"
FAILURE: Final = "RpcFailure"
_REF: Final = "#/components/schemas/{name}"
_PROMISES: Final = {
    Kind.RPC: "A command that is answered at most once, before an absolute deadline; nobody repeats it.",
    Kind.JOB: "A command that is carried out: delivered at least once, with one effect.",
    Kind.EVENT: "A fact: delivered at least once, with one effect.",
}
_HEADERS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "org": {"type": "string", "format": "uuid", "description": "The organization it is about."},
        "attempt": {"type": "integer", "minimum": 1, "description": "Deliveries that we counted ourselves, from 1."},
        "cause": {"type": "string", "format": "uuid", "description": "The id of the message that led here."},
        "traceparent": {"type": "string", "description": "W3C trace context."},
        "deadline": {"type": "integer", "description": "Unix milliseconds; of an rpc, which nobody starts later."},
        "error": {"type": "string", "maxLength": 500, "description": "Why the last attempt failed, on a retry."},
    },
}
_DESCRIPTION: Final = """\
Services meet on RabbitMQ only, in these messages. Bodies are JSON and carry data; what they are about travels beside them:
`type` (the message's name: dispatch is by it, never by routing key), `message_id` (UUIDv7), `app_id` and `user_id` (the sender, verified by
the broker), and the headers. Within a version only optional members with defaults are added, members with their default are left
out, and readers ignore members they do not know; anything else is the next version, published beside the old one until nobody sends that.
"""


def document() -> dict[str, Any]:
    """The whole document."""
    entries = tuple(REGISTRY)
    structs = {struct for entry in entries for struct in (entry.struct, entry.reply) if struct is not None} | {
        RpcFailure
    }
    ordered = sorted(structs, key=lambda struct: struct.__qualname__)
    _, schemas = schemas_of(ordered, ref=_REF)
    messages = {entry.name: _message(entry) for entry in entries}
    replies = {entry.reply.__name__: _reply(entry.reply, "ok") for entry in entries if entry.reply is not None}
    replies[FAILURE] = _reply(RpcFailure, "error")
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Fangate bus", "version": "1", "description": _DESCRIPTION},
        "defaultContentType": "application/json",
        "servers": {
            "broker": {
                "host": "{host}",
                "protocol": "amqp",
                "protocolVersion": "0-9-1",
                "description": "RabbitMQ 3.10 to 4.x; one login per service.",
                "variables": {"host": {"default": "localhost:5672"}},
            }
        },
        "channels": {
            **{entry.name: _channel(entry) for entry in entries},
            REPLIES: {
                "address": None,
                "title": "Answers to rpcs",
                "description": "Direct reply-to, or a queue of the caller's own: where the request's `reply_to` points.",
                "messages": {name: {"$ref": f"#/components/messages/reply.{name}"} for name in sorted(replies)},
            },
        },
        "operations": {entry.name: _operation(entry) for entry in entries},
        "components": {
            "messages": {**messages, **{f"reply.{name}": replies[name] for name in sorted(replies)}},
            "schemas": {name: _in_asyncapi(schema) for name, schema in sorted(schemas.items())},
            "messageTraits": {"envelope": {"headers": _HEADERS, "contentType": "application/json"}},
            "correlationIds": {"rpc": {"location": "$message.header#/correlation_id"}},
        },
    }  # fmt: skip


def _channel(entry: MessageType) -> dict[str, Any]:
    exchange = EVENTS if entry.kind is Kind.EVENT else COMMANDS
    channel: dict[str, Any] = {
        "address": f"{entry.name}.s{{shard}}" if entry.sharded else entry.name,
        "messages": {"message": {"$ref": f"#/components/messages/{entry.name}"}},
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {"name": exchange, "type": "topic", "durable": True, "autoDelete": False},
                "bindingVersion": BINDING,
            }
        },
        "x-queues": _queues_of(entry, exchange),
    }
    if entry.sharded:
        shards = [f"{shard:02d}" for shard in range(LEDGER_SHARDS)]
        what = "crc32 of the organization's id modulo 16: one organization's money takes one queue"
        channel["parameters"] = {"shard": {"enum": shards, "description": what}}
    return channel


def _queues_of(entry: MessageType, exchange: str) -> list[str]:
    """The named queues that take it; `edges` stands for the queue that every edge has for itself."""
    key = f"{entry.name}.s{{:02d}}" if entry.sharded else entry.name
    keys = [key.format(shard) for shard in range(LEDGER_SHARDS if entry.sharded else 1)]
    queues = [queue.name for queue in topology.QUEUES if any(topology.routes_to(queue, exchange, key) for key in keys)]
    is_broadcast = exchange == EVENTS and any(topology.matches(pattern, keys[0]) for pattern in topology.BROADCASTS)
    return [*queues, *(["edges"] if is_broadcast else [])]


def _operation(entry: MessageType) -> dict[str, Any]:
    channel = {"$ref": f"#/channels/{entry.name}"}
    operation: dict[str, Any] = {
        "action": "send" if entry.kind is Kind.EVENT else "receive",
        "channel": channel,
        "summary": _sentence(entry.struct),
        "description": _PROMISES[entry.kind],
        "tags": [{"name": entry.owner}, {"name": entry.kind.value}],
        "messages": [{"$ref": f"#/channels/{entry.name}/messages/message"}],
        "x-owner": entry.owner,
        "x-senders": list(entry.senders),
    }
    if entry.reply is not None:
        names = (entry.reply.__name__, FAILURE)
        operation["reply"] = {
            "address": {"location": "$message.header#/reply_to"},
            "channel": {"$ref": f"#/channels/{REPLIES}"},
            "messages": [{"$ref": f"#/channels/{REPLIES}/messages/{name}"} for name in names],
        }
    return operation


def _message(entry: MessageType) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": entry.name,
        "title": entry.struct.__name__,
        "summary": _text(entry.struct),
        "payload": {"$ref": _REF.format(name=entry.struct.__name__)},
        "traits": [{"$ref": "#/components/messageTraits/envelope"}],
        "bindings": {"amqp": {"messageType": entry.name, "bindingVersion": BINDING}},
        "x-body-bytes-max": entry.body_bytes_max,
    }
    if entry.reply is not None:
        message["correlationId"] = {"$ref": "#/components/correlationIds/rpc"}
    if entry.framed:
        message["contentType"] = "application/octet-stream"
        message["description"] = (
            "The body is a sequence of frames, 1 to 32 calls of one loop tick: of each the struct's JSON and the platform's bytes, "
            "both preceded by their length as a big-endian u32. The answer has the same form."
        )
    return message


def _reply(struct: type[msgspec.Struct], member: str) -> dict[str, Any]:
    """An rpc's answer: an object whose one member says how it went."""
    return {
        "name": struct.__name__,
        "title": struct.__name__,
        "summary": _text(struct),
        "payload": {
            "type": "object",
            "properties": {member: {"$ref": _REF.format(name=struct.__name__)}},
            "required": [member],
        },
        "correlationId": {"$ref": "#/components/correlationIds/rpc"},
    }


def _in_asyncapi(schema: Any) -> Any:
    """A schema of msgspec's, which has discriminators as OpenAPI does: here they are a member's bare name."""
    match schema:
        case dict():
            changed = {name: _in_asyncapi(value) for name, value in schema.items()}
            if "discriminator" in changed and "anyOf" in changed:
                changed["discriminator"] = changed["discriminator"]["propertyName"]
            return changed
        case list():
            return [_in_asyncapi(value) for value in schema]
    return schema


def _text(struct: type[msgspec.Struct]) -> str:
    """What the struct's docstring says, on one line."""
    return " ".join(inspect.cleandoc(struct.__doc__ or "").split())


def _sentence(struct: type[msgspec.Struct]) -> str:
    """Its first sentence."""
    end = _text(struct).find(". ")
    return _text(struct) if end < 0 else _text(struct)[: end + 1]


def printed() -> str:
    """The document as it is committed."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(printed())
