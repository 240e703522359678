"""What the audit log says of apps, grants and sign-in; the rest is `audit.py`'s."""

import uuid
from datetime import datetime
from typing import Any

from services.auth.domain.app import App, AppState, Method, Secret
from services.auth.domain.audit import Deed, differences
from services.auth.domain.grant import Grant


def app_created(app: App) -> Deed:
    details = {"name": app.name, "owner_id": str(app.user_id), "redirect_uris": list(app.redirect_uris)}
    return Deed(action="app.create", object_id=app.app_id, details=details)


def app_updated(old: App, new: App) -> Deed:
    """An app is changed, or ends."""
    if new.state is AppState.DELETED:
        return Deed(action="app.delete", object_id=new.app_id, details={"name": old.name})
    details = differences(old, new, "name", "stage", "state", "redirect_uris", "webhook_urls")
    return Deed(action="app.update", object_id=new.app_id, details=details)


def secret_made(app_id: uuid.UUID, secret: Secret) -> Deed:
    return Deed(action="app.rotate_secret", object_id=app_id, details={"start": secret.start})


def domain_verified(app_id: uuid.UUID, domain: str, method: Method) -> Deed:
    return Deed(action="app.verify_domain", object_id=app_id, details={"domain": domain, "method": str(method)})


def grant_given(grant: Grant) -> Deed:
    details = {"app_id": str(grant.app_id), "model_id": str(grant.model_id), "scopes": sorted(grant.scopes)}
    return Deed(action="grant.create", object_id=grant.grant_id, details=details)


def grant_revoked(grant: Grant, reason: str) -> Deed:
    details: dict[str, Any] = {"app_id": str(grant.app_id)}
    if reason:
        details["reason"] = reason
    return Deed(action="grant.revoke", object_id=grant.grant_id, details=details)


def tokens_ended(grant_id: uuid.UUID, *, whole_family: bool) -> Deed:
    return Deed(action="grant.end_tokens", object_id=grant_id, details={"family": whole_family})


def password_set(user_id: uuid.UUID) -> Deed:
    return Deed(action="user.set_password", object_id=user_id)


def password_link_made(user_id: uuid.UUID, until: datetime) -> Deed:
    return Deed(action="user.link_password", object_id=user_id, details={"until": until.isoformat()})


def signed_in(session_id: uuid.UUID) -> Deed:
    return Deed(action="session.begin", object_id=session_id)


def signed_out_everywhere(user_id: uuid.UUID) -> Deed:
    return Deed(action="session.end_all", object_id=user_id)
