"""Models: connected by a link behind which credentials are typed, never by an API call that carries them (requirements 4.21)."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec

from libs.common.contracts import models
from libs.common.contracts.catalogue import PROVIDERS
from libs.common.contracts.models import Form
from services.edge.domain.link import link_digest
from services.edge.domain.own_route import ID, LIMIT, Asked, OwnRoute, query_of, told
from services.edge.domain.refusal import Refusal

MODELS_DEFAULT: Final = 50
MODELS_MAX: Final = 200
SIGN_IN_MS: Final = 30_000  # a platform may take its time to sign somebody in
CODE_LENGTH_MAX: Final = 32

Label = Annotated[str, told(minLength=1, maxLength=100, examples=["Mia"])]


class ModelOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The model that is wanted. A sandbox model is connected at once, unless a link is wanted to try that out."""

    label: Label
    provider: Annotated[str, told(enum=list(PROVIDERS), examples=["sandbox"])]
    connect_link: bool = False


class ModelEdit(msgspec.Struct, frozen=True, kw_only=True):
    """What may be changed about a model."""

    label: Label


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """A two-factor code."""

    code: Annotated[str, told(minLength=1, maxLength=CODE_LENGTH_MAX, examples=["123456"])]


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model as its organization sees it."""

    model_id: UUID
    provider: str
    label: str
    state: str
    reason: str | None
    account: str | None
    session_ends_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """A page of models, newest first; `next_cursor` continues it."""

    models: tuple[Model, ...]
    next_cursor: UUID | None


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A model, and where its credentials are to be typed, if that is needed."""

    model: Model
    connect_url: str | None
    connect_url_expires_at: datetime | None


def _model_id(asked: Asked) -> UUID:
    try:
        model_id = UUID(asked.path["model_id"])
    except ValueError:
        raise Refusal("MODEL_NOT_FOUND") from None
    if asked.caller.model_id not in {None, model_id}:
        raise Refusal("MODEL_NOT_FOUND")  # a bound key sees its model only
    return model_id


def _is_sandbox(asked: Asked) -> bool:
    return asked.caller.kind == "sandbox"


def _change(asked: Asked) -> dict[str, Any]:
    """What every command that changes a model says."""
    return {
        "org_id": asked.org_id, "model_id": _model_id(asked), "sandbox_only": _is_sandbox(asked), "by": asked.by,
    }  # fmt: skip


def _list(asked: Asked) -> models.ListModels:
    return models.ListModels(
        org_id=asked.org_id,
        limit=asked.number("limit", default=MODELS_DEFAULT, most=MODELS_MAX),
        after=UUID(asked.query["cursor"]) if "cursor" in asked.query else None,
        sandbox_only=_is_sandbox(asked),
        model_id=asked.caller.model_id,
    )


def _create(asked: Asked) -> models.CreateModel:
    order: ModelOrder = asked.body
    if asked.caller.model_id is not None:
        raise Refusal("PERMISSION_DENIED", "This key is bound to one model and connects no other")
    if order.provider not in PROVIDERS:
        raise Refusal("INVALID_REQUEST", f"provider: expected one of {', '.join(PROVIDERS)}")
    return models.CreateModel(
        org_id=asked.org_id,
        provider=order.provider,
        label=order.label,
        link=link_digest(asked.token),
        wants_link=order.connect_link,
        sandbox_only=_is_sandbox(asked),
        by=asked.by,
    )


def _update(asked: Asked) -> models.UpdateModel:
    edit: ModelEdit = asked.body
    return models.UpdateModel(**_change(asked), label=edit.label)


def _reconnect(asked: Asked) -> models.ReconnectModel:
    return models.ReconnectModel(**_change(asked), link=link_digest(asked.token))


def _sealed_code(asked: Asked) -> tuple[Form, bytes]:
    code: Code = asked.body
    if not 1 <= len(code.code) <= CODE_LENGTH_MAX:
        raise Refusal("INVALID_REQUEST", f"code: 1 to {CODE_LENGTH_MAX} characters are expected")
    return Form(code=code.code), _model_id(asked).bytes


def _submit_code(asked: Asked) -> models.SubmitCode:
    return models.SubmitCode(**_change(asked), sealed=asked.sealed)


def _get(asked: Asked) -> models.GetModel:
    return models.GetModel(org_id=asked.org_id, model_id=_model_id(asked), sandbox_only=_is_sandbox(asked))


def _delete(asked: Asked) -> models.DeleteModel:
    return models.DeleteModel(**_change(asked))


def _disconnect(asked: Asked) -> models.DisconnectModel:
    return models.DisconnectModel(**_change(asked))


def _shown(model: models.ModelShown) -> Model:
    return Model(
        model_id=model.model_id,
        provider=model.provider,
        label=model.label,
        state=model.state,
        reason=model.reason or None,
        account=model.account,
        session_ends_at=model.session_ends_at,
        created_at=model.created_at,
        updated_at=model.updated_at,
    )


def _page(reply: models.ModelPage) -> Models:
    return Models(models=tuple(_shown(model) for model in reply.models), next_cursor=reply.next_after)


def _model(reply: models.ModelAnswer) -> Model:
    return _shown(reply.model)


def _connection(asked: Asked, reply: models.ModelAnswer) -> Connection:
    is_taken = reply.link_expires_at is not None
    return Connection(
        model=_shown(reply.model),
        connect_url=f"{asked.origin}/connect/{asked.token}" if is_taken else None,
        connect_url_expires_at=reply.link_expires_at,
    )


ROUTES: Final = (
    OwnRoute(
        name="models_list", method="GET", path="/models", permission="api_models_list",
        query=query_of(limit=LIMIT, cursor=ID), data=Models, command=_list, show=_page,
    ),
    OwnRoute(
        name="models_connect", method="POST", path="/models", permission="api_models_connect", status=201,
        body=ModelOrder, data=Connection, command=_create, show_link=_connection, shows_secret=True,
        deadline_ms=SIGN_IN_MS,
    ),
    OwnRoute(
        name="models_read", method="GET", path="/models/{model_id}", permission="api_models_read",
        data=Model, command=_get, show=_shown,
    ),
    OwnRoute(
        name="models_update", method="PATCH", path="/models/{model_id}", permission="api_models_update",
        body=ModelEdit, data=Model, command=_update, show=_model,
    ),
    OwnRoute(
        name="models_delete", method="DELETE", path="/models/{model_id}", permission="api_models_delete",
        data=Model, command=_delete, show=_model, deadline_ms=SIGN_IN_MS,
    ),
    OwnRoute(
        name="models_submit_code", method="POST", path="/models/{model_id}/2fa", permission="api_models_submit_code",
        body=Code, data=Model, seal=_sealed_code, command=_submit_code, show=_model, deadline_ms=SIGN_IN_MS,
    ),
    OwnRoute(
        name="models_reconnect", method="POST", path="/models/{model_id}/reconnect", permission="api_models_reconnect",
        data=Connection, command=_reconnect, show_link=_connection, shows_secret=True,
        deadline_ms=SIGN_IN_MS, is_repeatable=True,
    ),
    OwnRoute(
        name="models_disconnect", method="POST", path="/models/{model_id}/disconnect",
        permission="api_models_disconnect", data=Model, command=_disconnect, show=_model, deadline_ms=SIGN_IN_MS,
        is_repeatable=True,
    ),
)  # fmt: skip
