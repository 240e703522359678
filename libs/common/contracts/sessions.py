"""Messages that `sessions` owns: the call to a platform, and the life of a model. What users ask of their models: `models.py`."""

import uuid
from typing import Any, Final

from libs.common.contracts.auth import Actor
from libs.common.contracts.envelope import Message

NO_MODEL: Final = uuid.UUID(int=0)  # the caller named an account, not a model


class Proxy(Message, frozen=True, kw_only=True):
    """Call a route of a model's platform; the request body is the message's blob.

    The model is `model_id`, or, if that is `NO_MODEL`, the one of the organization whose account number on its platform is
    `account`; with both, the model must be that account. Fails with MODEL_NOT_FOUND, INVALID_REQUEST (two platforms know the
    number), MODEL_NOT_CONNECTED {state}, SYNC_LOST, ROUTE_NOT_SUPPORTED, UPSTREAM_TIMEOUT,
    OUTCOME_UNKNOWN, OF_API_ERROR (dropped, garbage, too large).
    """

    call_id: uuid.UUID
    org_id: uuid.UUID
    model_id: uuid.UUID
    route: str  # the catalogue's name
    path_params: dict[str, str] = {}
    query: str = ""  # raw, without the question mark
    content_type: str = ""
    sandbox_only: bool = False  # a sandbox key reaches sandbox models only
    account: str = ""


class Proxied(Message, frozen=True, kw_only=True):
    """The platform answered `status`; its body, byte for byte, is the message's blob (empty for 204)."""

    status: int
    content_type: str = ""
    retry_after_s: int | None = None
    upstream_ms: int = 0
    model_id: uuid.UUID | None = None  # which model it was, where the call named an account


class ConnectModel(Message, frozen=True, kw_only=True):
    """Log the model in with what the vault holds."""

    org_id: uuid.UUID
    model_id: uuid.UUID


class RefreshModel(Message, frozen=True, kw_only=True):
    """Renew the model's session ahead of its end."""

    org_id: uuid.UUID
    model_id: uuid.UUID
    session_number: int | None = None  # the session that is to be replaced: if it was meanwhile, nothing is left to do


class _ModelEvent(Message, frozen=True, kw_only=True):
    org_id: uuid.UUID
    model_id: uuid.UUID
    version: int  # of the model's row: an older event is ignored
    provider: str = ""
    reason: str = ""


class ModelConnected(_ModelEvent, frozen=True, kw_only=True):
    """The model can be called for the first time."""


class ModelAwaitingCode(_ModelEvent, frozen=True, kw_only=True):
    """The platform asks for a two-factor code."""


class ModelConnectFailed(_ModelEvent, frozen=True, kw_only=True):
    """The platform refused the credentials."""


class ModelSyncLost(_ModelEvent, frozen=True, kw_only=True):
    """The session is dead and could not be refreshed."""


class ModelReconnected(_ModelEvent, frozen=True, kw_only=True):
    """The model can be called again."""


class ModelDisconnected(_ModelEvent, frozen=True, kw_only=True):
    """The user ended the connection."""


class ModelDeleted(_ModelEvent, frozen=True, kw_only=True):
    """The user removed the model; its secrets are wiped and it answers 404 from now on."""


class ModelManaged(Message, frozen=True, kw_only=True):
    """Somebody asked something of a model, and it was done: a line for the audit log, on which no state hangs.

    `action` is the verb of the permission: connect | use_link | update | submit_code | reconnect | disconnect | delete.
    `details` are plain facts, never secrets. The message's id tells when.
    """

    org_id: uuid.UUID
    model_id: uuid.UUID
    action: str
    by: Actor
    details: dict[str, Any] = {}
