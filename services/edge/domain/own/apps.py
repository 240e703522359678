"""Apps of third parties, as their owners manage them, and the grants of the organization's own users."""

from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec

from libs.common.contracts import apps
from services.edge.domain.own.keys import OFFSET_MAX, OVERLAP_SECONDS_MAX
from services.edge.domain.own_route import LIMIT, Asked, OwnRoute, query_of, told
from services.edge.domain.refusal import Refusal
from services.edge.domain.reply_key import reply_key, secret_of

PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 1_000
PROOF_MS: Final = 10_000  # a name server and a web server of somebody else are asked
URLS_MAX: Final = 10

Name = Annotated[str, told(minLength=1, maxLength=60, examples=["Chat Helper"])]
Url = Annotated[str, msgspec.Meta(max_length=2_000)]
Redirects = Annotated[
    tuple[Url, ...],
    msgspec.Meta(max_length=URLS_MAX, min_length=1),
    told(examples=[["https://app.example.com/callback"]], description="Matched exactly."),
]
Webhooks = Annotated[tuple[Url, ...], msgspec.Meta(max_length=URLS_MAX)]


class AppOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The app that is wanted, and the user who answers for it: register apps for yourself only, at nobody's request."""

    name: Name
    owner_id: UUID
    redirect_uris: Redirects
    webhook_urls: Webhooks = ()
    type: Literal["confidential", "public"] = "confidential"  # a public app can keep no secret


class AppEdit(msgspec.Struct, frozen=True, kw_only=True):
    """What may be changed about an app; what is left out stays. In production every host lies under a verified domain."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    redirect_uris: Redirects | msgspec.UnsetType = msgspec.UNSET
    webhook_urls: Webhooks | msgspec.UnsetType = msgspec.UNSET
    stage: Literal["development", "production"] | msgspec.UnsetType = msgspec.UNSET


class AppSecretRotation(msgspec.Struct, frozen=True, kw_only=True):
    """How long the secret before goes on beside the new one; of three the oldest ends at once."""

    overlap_seconds: Annotated[int, msgspec.Meta(ge=0, le=OVERLAP_SECONDS_MAX)] = 0


class DomainOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A domain, and where its proof is to be looked for; without a method it is only named, and the answer says what to publish."""

    domain: Annotated[str, msgspec.Meta(max_length=253), told(examples=["example.com"])]
    method: Literal["dns", "well_known"] | None = None


class NewApp(msgspec.Struct, frozen=True, kw_only=True):
    """An app; `client_secret` is shown this once, and null for a public app."""

    app: apps.App
    client_id: UUID
    client_secret: str | None


class DomainProof(msgspec.Struct, frozen=True, kw_only=True):
    """A domain, and the two places where its proof can be: one is enough."""

    domain: apps.Domain
    dns_name: str
    dns_value: str
    well_known_url: str
    well_known_body: str


def _list(asked: Asked) -> apps.ListApps:
    return apps.ListApps(
        org_id=asked.org_id,
        limit=asked.number("limit", default=PAGE_DEFAULT, most=PAGE_MAX),
        offset=asked.number("offset", default=0, most=OFFSET_MAX),
    )


def _create(asked: Asked) -> apps.CreateApp:
    order: AppOrder = asked.body
    return apps.CreateApp(
        org_id=asked.org_id,
        by=asked.by,
        owner_id=order.owner_id,
        name=order.name,
        redirect_uris=order.redirect_uris,
        webhook_urls=order.webhook_urls,
        is_confidential=order.type == "confidential",
        reply_key=reply_key(asked.token).public,
    )


def _update(asked: Asked) -> apps.UpdateApp:
    edit: AppEdit = asked.body
    if edit == AppEdit():
        raise Refusal(
            "INVALID_REQUEST", "body: nothing to change: name, redirect_uris, webhook_urls or stage is expected"
        )
    return apps.UpdateApp(
        org_id=asked.org_id,
        by=asked.by,
        app_id=asked.id("app_id"),
        name=None if edit.name is msgspec.UNSET else edit.name,
        redirect_uris=None if edit.redirect_uris is msgspec.UNSET else edit.redirect_uris,
        webhook_urls=None if edit.webhook_urls is msgspec.UNSET else edit.webhook_urls,
        stage=None if edit.stage is msgspec.UNSET else edit.stage,
    )


def _rotate(asked: Asked) -> apps.RotateAppSecret:
    rotation: AppSecretRotation = asked.body
    return apps.RotateAppSecret(
        org_id=asked.org_id,
        by=asked.by,
        app_id=asked.id("app_id"),
        overlap_seconds=rotation.overlap_seconds,
        reply_key=reply_key(asked.token).public,
    )


def _verify(asked: Asked) -> apps.VerifyDomain:
    order: DomainOrder = asked.body
    return apps.VerifyDomain(
        org_id=asked.org_id, by=asked.by, app_id=asked.id("app_id"), domain=order.domain, method=order.method
    )


def _list_grants(asked: Asked) -> apps.ListGrants:
    return apps.ListGrants(
        org_id=asked.org_id,
        limit=asked.number("limit", default=PAGE_DEFAULT, most=PAGE_MAX),
        offset=asked.number("offset", default=0, most=OFFSET_MAX),
    )


def _app(reply: apps.AppFound | apps.AppUpdated) -> apps.App:
    return reply.app


def _new(asked: Asked, reply: apps.AppCreated) -> NewApp:
    secret = secret_of(reply, asked.token, bound_to=reply.app.app_id)
    return NewApp(app=reply.app, client_id=reply.app.app_id, client_secret=secret or None)


def _proof(reply: apps.DomainAnswer) -> DomainProof:
    domain = reply.domain
    return DomainProof(
        domain=domain,
        dns_name=f"_fangate.{domain.domain}",
        dns_value=f"fangate-domain-verification={domain.token}",
        well_known_url=f"https://{domain.domain}/.well-known/fangate-domain-verification",
        well_known_body=domain.token,
    )


ROUTES: Final = (
    OwnRoute(
        name="apps_list", method="GET", path="/apps", permission="api_apps_list",
        query=query_of(limit=LIMIT, offset=LIMIT), data=apps.Apps, command=_list,
    ),
    OwnRoute(
        name="apps_create", method="POST", path="/apps", permission="api_apps_create",
        status=201, body=AppOrder, data=NewApp, command=_create, show_asked=_new, shows_secret=True,
    ),
    OwnRoute(
        name="apps_read", method="GET", path="/apps/{app_id}", permission="api_apps_read", data=apps.App, show=_app,
        command=lambda asked: apps.GetApp(org_id=asked.org_id, app_id=asked.id("app_id")),
    ),
    OwnRoute(
        name="apps_update", method="PATCH", path="/apps/{app_id}", permission="api_apps_update",
        body=AppEdit, data=apps.App, command=_update, show=_app,
    ),
    OwnRoute(
        name="apps_delete", method="DELETE", path="/apps/{app_id}", permission="api_apps_delete", data=apps.App, show=_app,
        command=lambda asked: apps.DeleteApp(org_id=asked.org_id, by=asked.by, app_id=asked.id("app_id")),
    ),
    OwnRoute(
        name="apps_rotate_secret", method="POST", path="/apps/{app_id}/secrets", permission="api_apps_rotate_secret",
        status=201, body=AppSecretRotation, data=NewApp, command=_rotate, show_asked=_new, shows_secret=True,
    ),
    OwnRoute(
        name="apps_verify_domain", method="POST", path="/apps/{app_id}/domains", permission="api_apps_verify_domain",
        body=DomainOrder, data=DomainProof, command=_verify, show=_proof, deadline_ms=PROOF_MS, is_repeatable=True,
    ),
    OwnRoute(
        name="grants_list", method="GET", path="/grants", permission="api_grants_list",
        query=query_of(limit=LIMIT, offset=LIMIT), data=apps.Grants, command=_list_grants,
    ),
    OwnRoute(
        name="grants_revoke", method="DELETE", path="/grants/{grant_id}", permission="api_grants_revoke", data=apps.Grant,
        command=lambda asked: apps.RevokeGrant(org_id=asked.org_id, by=asked.by, grant_id=asked.id("grant_id")),
        show=lambda reply: reply.grant,
    ),
)  # fmt: skip
