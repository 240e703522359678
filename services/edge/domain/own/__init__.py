"""All own routes of the gateway, below its prefix. A new subject is a file here and a line below."""

from services.edge.domain.own import (
    apps,
    batches,
    billing,
    export,
    keys,
    models,
    organization,
    personal_key,
    platform,
    roles,
    takedown_export,
    takedowns,
    users,
    webhooks,
)
from services.edge.domain.own_route import OwnRoute, checked_own


def own_routes() -> tuple[OwnRoute, ...]:
    """Every own route; paths are templates below a surface's prefix."""
    return checked_own(
        (
            *organization.ROUTES,
            *users.ROUTES,
            *keys.ROUTES,
            *personal_key.ROUTES,
            *apps.ROUTES,
            *roles.ROUTES,
            *billing.ROUTES,
            *export.ROUTES,
            *models.ROUTES,
            *batches.ROUTES,
            *takedowns.ROUTES,
            *takedown_export.ROUTES,
            *webhooks.ROUTES,
        )
    )


def platform_routes() -> tuple[OwnRoute, ...]:
    """Every own route of the surface `platform`: its nine of Seed C, and what it shares with the gateway."""
    return checked_own((*platform.ROUTES, *batches.ROUTES, *takedowns.ROUTES, *takedown_export.ROUTES))
