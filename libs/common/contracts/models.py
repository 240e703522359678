"""Commands of `sessions` about models as their users see them: list, connect by a link, reconnect, disconnect, delete.

Every command of an organization carries it; `sandbox_only` says that the caller holds a sandbox key, to whom all other models
are absent. Secrets travel as sealed forms only (`libs/common/sealing.py`), links as the SHA-256 of their token.

Fail with MODEL_NOT_FOUND, CONFLICT (label or account taken, or not possible in the model's state), INVALID_REQUEST,
UNAVAILABLE; those about links with LINK_GONE (unknown, expired or used: nobody is told which).
"""

import uuid
from datetime import datetime

import msgspec

from libs.common.contracts.auth import Actor
from libs.common.contracts.envelope import Message


class ModelShown(Message, frozen=True, kw_only=True):
    """A model without its secrets."""

    model_id: uuid.UUID
    provider: str
    label: str
    state: (
        str  # connecting | awaiting_2fa | connected | refreshing | sync_lost | connect_failed | disconnected | deleted
    )
    created_at: datetime
    updated_at: datetime
    account: str | None = None  # the platform's number of the account
    reason: str = ""  # why it is in this state, where that is not plain
    session_ends_at: datetime | None = None
    version: int = 1


class ModelAnswer(Message, frozen=True, kw_only=True):
    """A model after a command. `link_expires_at`: the link of the command was taken, credentials are to be typed there."""

    model: ModelShown
    link_expires_at: datetime | None = None


class CreateModel(Message, frozen=True, kw_only=True):
    """A new model. Its credentials are typed behind the link whose token has the digest `link`; a sandbox model is
    connected at once unless `wants_link`.
    """

    org_id: uuid.UUID
    provider: str
    label: str
    link: bytes
    wants_link: bool = False
    sandbox_only: bool = False
    by: Actor = Actor()


class ListModels(Message, frozen=True, kw_only=True):
    """A page of an organization's models, newest first; `after` is the last id of the page before."""

    org_id: uuid.UUID
    limit: int = 50
    after: uuid.UUID | None = None
    sandbox_only: bool = False
    model_id: uuid.UUID | None = None  # the caller's key is bound to this model, and sees no other


class ModelPage(Message, frozen=True, kw_only=True):
    """`next_after` continues the list; None = this was its end."""

    models: tuple[ModelShown, ...]
    next_after: uuid.UUID | None = None


class _OfModel(Message, frozen=True, kw_only=True):
    org_id: uuid.UUID
    model_id: uuid.UUID
    sandbox_only: bool = False


class _Change(_OfModel, frozen=True, kw_only=True):
    by: Actor = Actor()  # for the audit log


class GetModel(_OfModel, frozen=True, kw_only=True):
    """One model."""


class UpdateModel(_Change, frozen=True, kw_only=True):
    """Give a model another label."""

    label: str


class DeleteModel(_Change, frozen=True, kw_only=True):
    """End the connection, wipe the secrets, and know the model no more."""


class ReconnectModel(_Change, frozen=True, kw_only=True):
    """Bring a model back with what the vault holds. Where that is not enough, the link `link` is taken."""

    link: bytes


class DisconnectModel(_Change, frozen=True, kw_only=True):
    """Sign out at the platform and wipe session and credentials."""


class SubmitCode(_Change, frozen=True, kw_only=True):
    """Answer the platform's two-factor challenge; `sealed` is a `Form` bound to the model's id."""

    sealed: bytes


class GetFormKey(Message, frozen=True, kw_only=True):
    """The public key that forms with secrets are sealed to."""


class FormKey(Message, frozen=True, kw_only=True):
    """An X25519 public key and its name."""

    name: str
    public: bytes


class GetLink(Message, frozen=True, kw_only=True):
    """What stands behind the connect link with this digest."""

    link: bytes


class UseLink(Message, frozen=True, kw_only=True):
    """The form of a connect link was sent; `sealed` is a `Form` bound to the link's digest. Answers once the platform has."""

    link: bytes
    sealed: bytes
    address: str = ""  # the client's, for the audit log


class LinkShown(Message, frozen=True, kw_only=True):
    """What the page of a link says."""

    label: str
    provider: str
    step: str  # credentials | consent | code | working | connected
    expires_at: datetime
    reason: str = ""  # of the last attempt that failed


class StartConsent(Message, frozen=True, kw_only=True):
    """Send the browser that opened a connect link to its platform, to be asked there. A newer start of the link replaces it.

    `consent` is the SHA-256 over the state and the browser's secret; `challenge` is that of PKCE (S256).
    """

    link: bytes
    consent: bytes
    challenge: str


class ConsentStarted(Message, frozen=True, kw_only=True):
    """Where the browser goes. The state, which never rides the bus, is to be added to the query."""

    url: str


class FinishConsent(Message, frozen=True, kw_only=True):
    """The platform sent the browser back; answered with the link as it stands now. Whatever comes of it, `consent` is used up.

    `sealed` is a `Form` (code and verifier) bound to `consent`, empty where the platform said `error` instead.
    """

    consent: bytes
    sealed: bytes = b""
    error: str = ""  # the platform's word: `access_denied`
    issuer: str = ""  # who it says it is (RFC 9207), where it says so
    address: str = ""  # the client's, for the audit log


class Form(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a user typed, inside the seal and nowhere else: either e-mail and password, or a code; with `verifier`, the code of
    a platform that asked its user for consent.
    """

    email: str = ""
    password: str = ""
    code: str = ""
    verifier: str = ""

    def __repr__(self) -> str:
        return "<Form>"
