"""Messages that `takedowns` owns: submissions, the money of batches, what happens to URLs and notices. Creators: `creators.py`.

`sandbox_only` says that the caller holds a sandbox key: what is registered with one is never mailed about.
"""

import uuid
from datetime import datetime
from typing import Literal

import msgspec

from libs.common.contracts.envelope import Message


class UrlGroup(msgspec.Struct, frozen=True):
    """URLs of one creator in a submission."""

    creator_id: str
    urls: tuple[str, ...]
    # ncii: whoever is shown did not consent (TAKE IT DOWN Act). Never sent by us: a person files it.
    category: Literal["copyright", "ncii"] = "copyright"


class Submission(msgspec.Struct, frozen=True):
    """The body of a submission, as the caller sent it: it travels beside `SubmitUrls` untouched."""

    groups: tuple[UrlGroup, ...]
    notes: str | None = None


class SubmitUrls(Message, frozen=True, kw_only=True):
    """Take the `Submission` of the message's blob in: 1 credit per URL that is new to its creator.

    The message's id becomes the batch's. `is_dry_run`: say what it would be and cost, and do nothing. Fails with
    INVALID_REQUEST, CREATOR_NOT_FOUND, INSUFFICIENT_CREDITS {required, balance}, UNAVAILABLE, INTERNAL_ERROR (every group failed).
    """

    org_id: uuid.UUID
    key_id: uuid.UUID | None = None
    sandbox_only: bool = False
    is_dry_run: bool = False


class ReportCsam(Message, frozen=True, kw_only=True):
    """URLs that show the abuse of children: to people, who tell the authorities. Nothing looks at them, and they cost nothing.

    The message's id becomes the report's. Fails with INVALID_REQUEST.
    """

    org_id: uuid.UUID
    urls: tuple[str, ...]
    key_id: uuid.UUID | None = None


class CsamReported(Message, frozen=True, kw_only=True):
    """The report waits for a person. `stopped`: takedowns of these URLs that were under way, and are not any more."""

    report_id: uuid.UUID
    url_count: int
    stopped: int = 0


class HostContact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a host takes notices, as far as it is known; no look-up is made for an answer."""

    takedown_method: str  # email | form | api | none
    dmca_email: str | None = None
    form_url: str | None = None
    registrar_name: str | None = None
    registrar_email: str | None = None


class HostCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a submission's URLs of one host. `contact` None: the host is not known yet."""

    total: int
    new: int
    duplicate: int
    invalid: int
    contact: HostContact | None = None


class GroupOutcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One creator's part of a batch of which not all could be taken."""

    creator_id: uuid.UUID
    status: str  # accepted | failed
    error: str | None = None


class UrlsSubmitted(Message, frozen=True, kw_only=True):
    """What became of a submission. `failed` of its candidates could not be stored and were not paid; `groups` says whose.

    `required` credits and the `balance` that pays are told of a dry run only.
    """

    batch_id: uuid.UUID
    url_count: int
    new: int
    duplicate: int
    invalid: int
    by_host: dict[str, HostCounts] = {}
    failed: int = 0
    groups: tuple[GroupOutcome, ...] = ()
    required: int = 0
    balance: int = 0


class InvalidUrls(msgspec.Struct, frozen=True, kw_only=True):
    """URLs of a batch that were not taken, by reason, with a few samples."""

    reason: str
    n: int
    samples: tuple[str, ...] = ()


class BatchShown(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as its organization sees it."""

    batch_id: uuid.UUID
    status: str  # leasing | accepted | partial | failed
    url_count: int
    new: int
    duplicate: int
    invalid: int
    failed: int
    debited: int
    refunded: int
    notes: str | None
    created_at: datetime


class ListBatches(Message, frozen=True, kw_only=True):
    """A page of an organization's batches, newest first; `after` is the last id of the page before."""

    org_id: uuid.UUID
    limit: int = 50
    after: uuid.UUID | None = None


class BatchPage(Message, frozen=True, kw_only=True):
    """`next_after` continues the list; None = this was its end."""

    batches: tuple[BatchShown, ...]
    next_after: uuid.UUID | None = None


class GetBatch(Message, frozen=True, kw_only=True):
    """One batch. Fails with BATCH_NOT_FOUND."""

    org_id: uuid.UUID
    batch_id: uuid.UUID


class BatchAnswer(Message, frozen=True, kw_only=True):
    """A batch, why URLs of it were not taken, and how many of those it paid for are in which state."""

    batch: BatchShown
    invalid: tuple[InvalidUrls, ...] = ()
    states: dict[str, int] = {}


class BatchAccepted(Message, frozen=True, kw_only=True):
    """A batch is stored: `new` URLs wait to be processed."""

    org_id: uuid.UUID
    batch_id: uuid.UUID
    url_count: int
    new: int
    duplicate: int = 0
    invalid: int = 0
    failed: int = 0


class BatchDebited(Message, frozen=True, kw_only=True):
    """A batch was accepted: `amount` new URLs are paid from the lease of the same id. Amount 0 only closes the lease."""

    org_id: uuid.UUID
    batch_id: uuid.UUID  # also the lease's and the debit's id
    amount: int
    key_id: uuid.UUID | None = None
    memo: str = ""


class BatchRefunded(Message, frozen=True, kw_only=True):
    """Processing failed for `amount` URLs of a batch: they are given back to where they were paid from."""

    org_id: uuid.UUID
    refund_id: uuid.UUID
    batch_id: uuid.UUID
    amount: int
    memo: str = ""


class ForgetCreator(Message, frozen=True, kw_only=True):
    """A creator was deleted: cancel what can be refunded, stop what is under way."""

    org_id: uuid.UUID
    creator_id: uuid.UUID


class ResolveHost(Message, frozen=True, kw_only=True):
    """Find out who can remove what is on this host."""

    host_id: int


class SendNotice(Message, frozen=True, kw_only=True):
    """Send a notice that is planned."""

    notice_id: uuid.UUID


class UrlChange(msgspec.Struct, frozen=True, kw_only=True):
    """One URL that is in another state now; states by their words (`queued`, `noticed`, `removed` …)."""

    id: uuid.UUID
    creator_id: uuid.UUID
    url: str
    state: str
    previous: str
    at: datetime


class UrlChanged(Message, frozen=True, kw_only=True):
    """Up to 100 URLs of one organization changed their state."""

    org_id: uuid.UUID
    changes: tuple[UrlChange, ...]


class _OfNotice(Message, frozen=True, kw_only=True):
    org_id: uuid.UUID
    notice_id: uuid.UUID
    creator_id: uuid.UUID
    host: str
    stage: str  # site | hosting | registrar | search
    url_count: int


class NoticeSent(_OfNotice, frozen=True, kw_only=True):
    """A notice left, by mail or a host's own interface."""

    channel: str  # email | api


class NoticeBounced(_OfNotice, frozen=True, kw_only=True):
    """A notice could not be delivered."""

    reason: str = ""


class NoticeCountered(_OfNotice, frozen=True, kw_only=True):
    """A counter-notice came: nothing more is sent until a person decides."""


class ActionRequired(Message, frozen=True, kw_only=True):
    """A person has to do something about `url_count` URLs of a host."""

    org_id: uuid.UUID
    action_id: uuid.UUID
    creator_id: uuid.UUID
    host: str
    reason: str
    url_count: int


class CreatorDeleted(Message, frozen=True, kw_only=True):
    """A creator is gone for its organization."""

    org_id: uuid.UUID
    creator_id: uuid.UUID
