"""Take a submission in: 1 credit per URL that is new to its creator, set aside before anything is stored, debited by what was.

    creators → canonical forms → what is known → [dry run ends here] → batch row → lease → one transaction → answer

The batch's id is the rpc's message id, the lease's id and the debit's id: whatever is repeated has one effect. Whoever locks the
batch's row and finds it `leasing` may settle it, this use case or the sweeper (`settle_batches.py`); nobody else may.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

from libs.common.contracts import takedowns as contract
from libs.common.errors import Unavailable
from services.takedowns.domain.errors import (
    CreatorNotFound,
    CreditsFrozen,
    CreditsInUse,
    InsufficientCredits,
    InvalidRequest,
    LeaseNotSent,
    LeaseUnknown,
)
from services.takedowns.domain.ports import Credits, KnownHost, NewBatch, Submissions
from services.takedowns.domain.states import Category
from services.takedowns.domain.submission import Intake, Target, check_limits, outcome_of, reply_of
from services.takedowns.domain.url import OwnProfiles, UrlReader
from services.takedowns.usecases.store_batch import StoreBatch, Work

YIELD_URLS: Final = 500  # read in one go; then others get the loop
NAMED_MAX: Final = 5  # unknown creators named in an error
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class SubmitUrls:
    """Raises InvalidRequest, CreatorNotFound, InsufficientCredits, CreditsFrozen, ProcessingFailed, or Unavailable: nothing is
    stored, or the sweeper will settle it. A repeat is safe: what was stored comes back as duplicates, which are free.
    """

    submissions: Submissions
    credits: Credits
    store: StoreBatch
    reader: UrlReader

    async def __call__(self, request: contract.SubmitUrls, body: bytes, batch_id: UUID) -> contract.UrlsSubmitted:
        submission = _decoded(body)
        check_limits(submission)
        targets = await self._targets(request.org_id, submission)
        batch = NewBatch(
            id=batch_id,
            org_id=request.org_id,
            key_id=request.key_id,
            is_sandbox=request.sandbox_only,
            notes=submission.notes,
        )
        work = Work(batch=batch, targets=targets, intake=await self._sorted(submission, targets))
        await self._drop_known(work)
        work.hosts = await self._hosts(work, is_dry_run=request.is_dry_run)
        if request.is_dry_run:
            return await self._price(work)
        if not work.required:
            return await self.store.without_credits(work)
        if not await self.submissions.begin(batch, work.required):
            return await self.store.told(batch_id)
        if await self._lease(work):
            return await self.store(work)
        return await self.store.without_credits(work)

    async def _targets(self, org_id: UUID, submission: contract.Submission) -> dict[str, Target]:
        """The creators of the groups, by the id that was given."""
        ids = {group.creator_id: _uuid(group.creator_id) for group in submission.groups}
        found = await self.submissions.targets(org_id, {id_ for id_ in ids.values() if id_ is not None})
        missing = [given for given, id_ in ids.items() if id_ not in found]
        if missing:
            named = ", ".join(given[:64] for given in missing[:NAMED_MAX])
            raise CreatorNotFound(f"Creator not found: {named}")
        return {given: found[id_] for given, id_ in ids.items() if id_ is not None}

    async def _sorted(self, submission: contract.Submission, targets: dict[str, Target]) -> Intake:
        intake = Intake(self.reader)
        for group in submission.groups:
            target = targets[group.creator_id]
            profiles = OwnProfiles(((link.platform, link.handle) for link in target.links), self.reader)
            for at in range(0, len(group.urls), YIELD_URLS):
                intake.add(target, profiles, group.urls[at : at + YIELD_URLS], Category[group.category.upper()])
                await asyncio.sleep(0)
        return intake

    async def _drop_known(self, work: Work) -> None:
        if not work.required:
            return
        known = await self.submissions.known(list(work.intake.candidates))
        work.removed += known.removed
        work.intake.drop_known(known.all)

    async def _hosts(self, work: Work, *, is_dry_run: bool) -> dict[str, KnownHost]:
        """The rows of all hosts; those of candidates are made if need be, outside of any transaction: they are nobody's."""
        hosts = await self.submissions.hosts(list(work.intake.by_host))
        needed = {candidate.host for candidate in work.intake.candidates.values()}
        missing = {host: work.intake.sites[host] for host in needed if host not in hosts}
        if missing and not is_dry_run:
            await self.submissions.add_hosts(missing)
            hosts |= await self.submissions.hosts(list(missing))
        return hosts

    async def _price(self, work: Work) -> contract.UrlsSubmitted:
        """What a dry run says: candidates count as new, because they would be."""
        reply = reply_of(work.batch.id, outcome_of(work.intake, work.intake.candidates.keys(), ()), work.contacts)
        balance = await self.credits.balance(work.batch.org_id)
        return msgspec.structs.replace(reply, required=work.required, balance=balance)

    async def _lease(self, work: Work) -> bool:
        """Set aside what is required; False if nothing is any more. Raises what is raised to the caller, the batch being gone
        or given up then.
        """
        batch_id, leased = work.batch.id, work.required
        for is_last in (False, True):
            try:
                await self.credits.lease(batch_id, work.batch.org_id, leased)
            except (InsufficientCredits, CreditsInUse):
                # A twin of this request may have landed meanwhile: its URLs are duplicates now, and need no credits.
                if not is_last:
                    await self._drop_known(work)
                    if 0 < work.required < leased:
                        leased = work.required
                        await self.submissions.shrink(batch_id, leased)
                    if work.required:
                        continue
                await self.submissions.drop(batch_id)
                if work.required:
                    raise
                return False
            except (LeaseNotSent, CreditsFrozen):
                await self.submissions.drop(batch_id)
                raise
            except LeaseUnknown as exc:
                await self.submissions.give_up(batch_id)  # a close that overtakes the open makes the open fail
                raise Unavailable(detail=str(exc)) from exc
            return True
        raise AssertionError("unreachable")


def _decoded(body: bytes) -> contract.Submission:
    try:
        return msgspec.json.decode(body, type=contract.Submission)
    except msgspec.MsgspecError as exc:  # the edge has looked at its shape
        raise InvalidRequest(f"body: {exc}") from exc


def _uuid(given: str) -> UUID | None:
    return UUID(given) if _UUID.fullmatch(given) else None
