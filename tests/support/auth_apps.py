"""Valid objects of apps, grants and sign-in, with one thing changed."""


import msgspec

from libs.common.ids import uuid7
from services.auth.domain.app import App
from services.auth.domain.organization import User
from tests.support.auth import NOW

REDIRECT = "https://app.example.com/callback"


def an_app_of(owner: User, **changed: object) -> App:
    """A confidential app in development; `owner` answers for it."""
    app = App(
        app_id=uuid7(), org_id=owner.org_id, user_id=owner.user_id, name="Chat Helper", is_confidential=True,
        redirect_uris=(REDIRECT,), created_at=NOW,
    )  # fmt: skip
    return msgspec.structs.replace(app, **changed)
