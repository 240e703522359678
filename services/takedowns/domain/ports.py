"""What the use cases need, not how it is done."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

import msgspec

from libs.common.contracts.creators import CreatorStats
from libs.common.contracts.envelope import Message
from libs.common.contracts.takedowns import BatchAnswer, BatchShown, HostContact, InvalidUrls, UrlsSubmitted
from services.takedowns.domain.creator import Creator
from services.takedowns.domain.states import State
from services.takedowns.domain.submission import Candidate, Outcome, Pair, Target


class CreatorsTx(Protocol):
    """One organization's creators in an open transaction: nobody else changes them meanwhile."""

    async def by_email(self, email_keys: Sequence[str]) -> dict[str, Creator]:
        """Those that live, by their e-mail key."""
        ...

    async def find(self, public_id: uuid.UUID) -> Creator | None:
        """The one that lives under this id."""
        ...

    async def add(self, creators: Sequence[Creator]) -> None:
        """New ones. Raises EmailTaken."""
        ...

    async def update(self, creators: Sequence[Creator]) -> None:
        """Write all of each, by `id`. Raises EmailTaken."""
        ...

    async def delete(self, creator: Creator) -> None:
        """Gone for its organization."""
        ...

    async def tell(self, message: Message) -> None:
        """Publish `message` if this transaction stands."""
        ...


class Creators(Protocol):
    """Who notices are filed for."""

    def exclusive(self, org_id: uuid.UUID) -> AbstractAsyncContextManager[CreatorsTx]:
        """A transaction in which nobody else changes the organization's creators."""
        ...

    async def find(self, org_id: uuid.UUID, public_id: uuid.UUID) -> Creator | None:
        """The one that lives under this id."""
        ...

    async def page(self, org_id: uuid.UUID, *, limit: int, offset: int) -> tuple[Sequence[Creator], int]:
        """A page, oldest first, and how many live."""
        ...

    async def associated(self, creator: Creator) -> tuple[int, int]:
        """URLs of it, and those of them that a sent notice names."""
        ...

    async def stats(self, org_id: uuid.UUID, *, search: str) -> Sequence[CreatorStats]:
        """Submissions of each that lives and whose stage name contains `search`, whatever its case."""
        ...

    async def purge(self, *, deleted_before: datetime, limit: int) -> int:
        """Wipe the personal data of creators deleted before then; answers how many."""
        ...


class NewBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that is about to be stored."""

    id: uuid.UUID
    org_id: uuid.UUID
    key_id: uuid.UUID | None
    is_sandbox: bool
    notes: str | None


class KnownBatch(msgspec.Struct, frozen=True):
    """A batch that is there. `reply` is what its caller was told, while that is kept."""

    org_id: uuid.UUID
    status: str
    reply: UrlsSubmitted | None


class KnownUrls(msgspec.Struct, frozen=True):
    """URLs that are duplicates; of those in `removed` the content was gone when last looked at."""

    all: Sequence[Pair] = ()
    removed: Sequence[Pair] = ()


class KnownHost(msgspec.Struct, frozen=True):
    """A host that has a row."""

    id: int
    contact: HostContact | None


class SubmissionTx(Protocol):
    """The transaction in which a submission is stored, whole or a creator's part of it."""

    async def hold_batch(self, batch_id: uuid.UUID) -> bool:
        """Lock the batch; False unless it is still leasing (the sweeper settled it)."""
        ...

    async def hold_creators(self, ids: Collection[int]) -> set[int]:
        """Those that live; they cannot be deleted before this transaction ends."""
        ...

    async def add_urls(
        self, batch_id: uuid.UUID, candidates: Mapping[Pair, Candidate], hosts: Mapping[str, KnownHost]
    ) -> Collection[Pair]:
        """Store what is new or was refunded of `candidates`, which come in the order of their pairs; answers which. What another
        has stored meanwhile is left out.
        """
        ...

    async def add_free_batch(self, batch: NewBatch) -> bool:
        """A batch that needs no lease; False if it is there already."""
        ...

    async def settle(
        self,
        batch_id: uuid.UUID,
        *,
        status: str,
        outcome: Outcome,
        debited: int,
        reply: UrlsSubmitted,
        invalid: Sequence[InvalidUrls],
    ) -> None:
        """The batch is what it will be; the creators' counters with it."""
        ...

    async def look_again(self, pairs: Sequence[Pair]) -> None:
        """Have removed URLs checked soon that were not looked at for a day."""
        ...

    async def tell(self, org_id: uuid.UUID, message: Message) -> None:
        """Publish `message` if this transaction stands."""
        ...


class Submissions(Protocol):
    """Batches and URLs."""

    def transaction(self) -> AbstractAsyncContextManager[SubmissionTx]:
        """Raises TryAgain, CommitLost, StoreRefused, Unavailable."""
        ...

    async def targets(self, org_id: uuid.UUID, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Target]:
        """Creators of the organization that live."""
        ...

    async def batch(self, batch_id: uuid.UUID) -> KnownBatch | None:
        """What is known of a batch."""
        ...

    async def known(self, pairs: Sequence[Pair]) -> KnownUrls:
        """Those of `pairs` that are duplicates now."""
        ...

    async def hosts(self, names: Collection[str]) -> dict[str, KnownHost]:
        """Those that have a row."""
        ...

    async def add_hosts(self, sites: Mapping[str, str]) -> None:
        """Rows for hosts that have none (host to site)."""
        ...

    async def begin(self, batch: NewBatch, required: int) -> bool:
        """Note the batch before its lease of `required` credits is opened; False if it is there already."""
        ...

    async def shrink(self, batch_id: uuid.UUID, required: int) -> None:
        """The lease will be of `required` credits."""
        ...

    async def drop(self, batch_id: uuid.UUID) -> None:
        """No lease was opened: the batch leaves no row."""
        ...

    async def give_up(self, batch_id: uuid.UUID) -> None:
        """Settle a batch if it is still leasing, by what is stored of it. Nothing: it has failed, its lease is closed. URLs of
        some creators: they are debited, the batch is partial.
        """
        ...

    async def stuck(self, *, older_s: float, limit: int) -> Sequence[uuid.UUID]:
        """Batches that have been leasing for longer."""
        ...

    async def forget_replies(self) -> None:
        """Replies are kept for a day."""
        ...


class UrlOwner(msgspec.Struct, frozen=True):
    """The creator whose URLs are meant, by both its names, and its organization."""

    org_id: uuid.UUID
    creator_id: int
    public_id: uuid.UUID


class Refunds(Protocol):
    """URLs that end without a notice, and the credits that return for them."""

    async def refund(
        self, owner: UrlOwner, url_ids: Sequence[uuid.UUID], *, to: State, sources: Sequence[State], reason: str
    ) -> int:
        """End those of `url_ids` that are in `sources` and refundable; answers how many. Once, however often it is asked. URLs of a
        batch that is not settled yet are left alone.
        """
        ...

    async def send(self, *, older_s: float, limit: int) -> int:
        """Publish refunds that gathered for longer; answers how many batches'."""
        ...

    async def deleted_creator(self, org_id: uuid.UUID, public_id: uuid.UUID) -> UrlOwner | None:
        """A creator that was deleted; None if it lives or never did."""
        ...

    async def refundable(self, owner: UrlOwner, *, limit: int) -> Sequence[uuid.UUID]:
        """URLs of a creator that can still end without a notice."""
        ...

    async def is_under_way(self, owner: UrlOwner) -> bool:
        """Whether a batch with URLs of the creator is not settled yet."""
        ...

    async def stop(self, owner: UrlOwner) -> None:
        """Nothing more is done for a creator: no checks, no follow-ups, and no notice that has not left."""
        ...


class Batches(Protocol):
    """Batches, looked at."""

    async def page(self, org_id: uuid.UUID, *, limit: int, after: uuid.UUID | None) -> Sequence[BatchShown]:
        """A page, newest first."""
        ...

    async def show(self, org_id: uuid.UUID, batch_id: uuid.UUID) -> BatchAnswer | None:
        """One, with samples of what was invalid and the states of what it pays for."""
        ...


class Credits(Protocol):
    """Credits of an organization, from billing."""

    async def lease(self, batch_id: uuid.UUID, org_id: uuid.UUID, amount: int) -> None:
        """Set exactly `amount` aside for the batch; repeating it is safe. Raises InsufficientCredits, CreditsInUse, LeaseNotSent
        (certainly no lease), LeaseUnknown (there may be one).
        """
        ...

    async def balance(self, org_id: uuid.UUID) -> int:
        """What can be spent. Raises Unavailable."""
        ...
