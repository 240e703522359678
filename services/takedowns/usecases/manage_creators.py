"""Look at creators, change one, delete one."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from libs.common.contracts import creators as contract
from libs.common.contracts.takedowns import CreatorDeleted, ForgetCreator
from services.takedowns.domain.creator import Creator, CreatorChange, change_of
from services.takedowns.domain.errors import CreatorNotFound, InvalidRequest
from services.takedowns.domain.ports import Creators

PAGE_MAX: Final = 1_000  # Seed C
OFFSET_MAX: Final = 2**31


@dataclass(frozen=True, slots=True)
class ManageCreators:
    """A creator of another organization is not found."""

    creators: Creators
    allows_test_domains: bool = False

    async def page(self, request: contract.ListCreators) -> contract.CreatorPage:
        """A page, oldest first; past the end it is empty."""
        limit, offset = min(max(request.limit, 0), PAGE_MAX), min(max(request.offset, 0), OFFSET_MAX)
        found, total = await self.creators.page(request.org_id, limit=limit, offset=offset)
        return contract.CreatorPage(creators=tuple(shown(creator) for creator in found), total=total)

    async def show(self, request: contract.GetCreator) -> contract.CreatorAnswer:
        """Raises CreatorNotFound."""
        return contract.CreatorAnswer(creator=shown(await self._found(request.org_id, request.creator_id)))

    async def update(self, request: contract.UpdateCreator) -> contract.CreatorAnswer:
        """Raises InvalidRequest, CreatorNotFound, EmailTaken."""
        change = change_of(request, "", allows_test_domains=self.allows_test_domains)
        if change == CreatorChange():
            raise InvalidRequest("body: name at least one field to change")
        async with self.creators.exclusive(request.org_id) as tx:
            known = await tx.find(request.creator_id)
            if known is None:
                raise CreatorNotFound
            wanted = change.over(known)
            if wanted != known:
                await tx.update([wanted])
        return contract.CreatorAnswer(creator=shown(await self._found(request.org_id, request.creator_id)))

    async def delete(self, request: contract.DeleteCreator) -> contract.CreatorDeletion:
        """Delete, or only say what hangs on it. What follows from a deletion is a job's. Raises CreatorNotFound."""
        known = await self._found(request.org_id, request.creator_id)
        urls, takedowns = await self.creators.associated(known)
        if not request.is_dry_run:
            async with self.creators.exclusive(request.org_id) as tx:
                if await tx.find(request.creator_id) is None:
                    raise CreatorNotFound
                await tx.delete(known)
                await tx.tell(ForgetCreator(org_id=request.org_id, creator_id=request.creator_id))
                await tx.tell(CreatorDeleted(org_id=request.org_id, creator_id=request.creator_id))
        return contract.CreatorDeletion(
            creator_id=known.public_id,
            stage_name=known.stage_name,
            associated_urls=urls,
            associated_takedowns=takedowns,
            is_deleted=not request.is_dry_run,
        )

    async def stats(self, request: contract.GetCreatorStats) -> contract.CreatorStatsAnswer:
        """One line per creator, oldest first."""
        if "\x00" in request.search:
            return contract.CreatorStatsAnswer(stats=())  # no name can hold it
        return contract.CreatorStatsAnswer(
            stats=tuple(await self.creators.stats(request.org_id, search=request.search))
        )

    async def _found(self, org_id: UUID, creator_id: UUID) -> Creator:
        known = await self.creators.find(org_id, creator_id)
        if known is None:
            raise CreatorNotFound
        return known


def shown(creator: Creator) -> contract.CreatorShown:
    """A stored creator, as its organization sees it."""
    assert creator.created_at is not None, "it was read from the store"
    assert creator.updated_at is not None
    return contract.CreatorShown(
        id=creator.public_id,
        stage_name=creator.stage_name,
        email=creator.email,
        official_links=creator.links,
        legal_name=creator.legal_name,
        notification_email=creator.notification_email,
        notes=creator.notes,
        created_at=creator.created_at,
        updated_at=creator.updated_at,
    )
