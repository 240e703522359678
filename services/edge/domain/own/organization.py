"""Self: who calls, and the organization behind the key."""

from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec

from libs.common.contracts import auth
from services.edge.domain.own_route import ID, LIMIT, Asked, OwnRoute, query_of, told

ENTRIES_DEFAULT: Final = 50
ENTRIES_MAX: Final = 1_000


class CallerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Calls a minute and a day of all the organization's keys together, and a minute of this one: null = no window of its own."""

    per_minute: int
    per_day: int
    key_per_minute: int | None


class WhoAmI(msgspec.Struct, frozen=True, kw_only=True):
    """The caller, as every check of this request saw it."""

    key_id: UUID
    kind: str
    org_id: UUID
    user_id: UUID | None
    permissions: tuple[str, ...]
    subscription: str
    limits: CallerLimits
    read_only: bool
    model_id: UUID | None  # the key reaches this model only
    addresses: tuple[str, ...]  # networks the key may be used from; none = from anywhere
    expires_at: datetime | None


class OrganizationEdit(msgspec.Struct, frozen=True, kw_only=True):
    """What an organization may change about itself."""

    name: Annotated[str, told(minLength=1, maxLength=200, examples=["Demo Agency"])]


def _who_am_i(asked: Asked) -> WhoAmI:
    caller, limits = asked.caller, asked.caller.limits
    return WhoAmI(
        key_id=caller.key_id,
        kind=caller.kind,
        org_id=caller.org_id,
        user_id=caller.user_id,
        permissions=tuple(sorted(caller.permissions)),
        subscription=caller.subscription,
        limits=CallerLimits(
            per_minute=limits.per_minute, per_day=limits.per_day, key_per_minute=limits.key_per_minute or None
        ),
        read_only=caller.read_only,
        model_id=caller.model_id,
        addresses=caller.addresses,
        expires_at=None if caller.expires_at_ms is None else datetime.fromtimestamp(caller.expires_at_ms / 1_000, UTC),
    )


def _update(asked: Asked) -> auth.UpdateOrganization:
    edit: OrganizationEdit = asked.body
    return auth.UpdateOrganization(org_id=asked.org_id, by=asked.by, name=edit.name)


def _updated(reply: auth.OrganizationUpdated) -> auth.Organization:
    return reply.organization


def _audit(asked: Asked) -> auth.ListAudit:
    before = asked.query.get("before")
    return auth.ListAudit(
        org_id=asked.org_id,
        limit=asked.number("limit", default=ENTRIES_DEFAULT, most=ENTRIES_MAX),
        before=None if before is None else UUID(before),
    )


ROUTES: Final = (
    OwnRoute(
        name="self_read", method="GET", path="/whoami", permission="api_self_read", data=WhoAmI, answer=_who_am_i,
    ),
    OwnRoute(
        name="organization_read", method="GET", path="/organization", permission="api_organization_read",
        data=auth.Organization, command=lambda asked: auth.GetOrganization(org_id=asked.org_id),
    ),
    OwnRoute(
        name="organization_update", method="PATCH", path="/organization", permission="api_organization_update",
        body=OrganizationEdit, data=auth.Organization, command=_update, show=_updated,
    ),
    OwnRoute(
        name="audit_log_list", method="GET", path="/audit-log", permission="api_audit_log_list",
        query=query_of(limit=LIMIT, before=ID), data=auth.Audit, command=_audit,
    ),
)  # fmt: skip
