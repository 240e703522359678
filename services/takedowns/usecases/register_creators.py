"""Register creators in bulk, or bring known ones up to date by e-mail: all of a request or nothing."""

from dataclasses import dataclass

from libs.common.contracts.creators import CreatorsSubmitted, SubmitCreators
from libs.common.ids import uuid7
from services.takedowns.domain.creator import CREATORS_MAX, Creator, CreatorChange, change_of
from services.takedowns.domain.errors import InvalidRequest
from services.takedowns.domain.ports import Creators


@dataclass(frozen=True, slots=True)
class RegisterCreators:
    """Safe to repeat: what is the same already is left as it is, and counts as updated."""

    creators: Creators
    allows_test_domains: bool = False

    async def __call__(self, request: SubmitCreators) -> CreatorsSubmitted:
        """Raises InvalidRequest naming the first bad place."""
        if not 1 <= len(request.creators) <= CREATORS_MAX:
            raise InvalidRequest(f"creators: 1 to {CREATORS_MAX} are expected")
        changes = [
            change_of(said, f"creators[{at}].", allows_test_domains=self.allows_test_domains)
            for at, said in enumerate(request.creators)
        ]
        async with self.creators.exclusive(request.org_id) as tx:
            known = await tx.by_email([str(change.email_key) for change in changes])
            # Twice in one request is as if sent twice: the last word counts, and the second is an update.
            wanted = dict(known)
            for change in changes:
                key = str(change.email_key)
                wanted[key] = change.over(wanted[key] if key in wanted else _blank(request, change))
            fresh = [creator for key, creator in wanted.items() if key not in known]
            await tx.add(fresh)
            await tx.update([creator for key, creator in wanted.items() if key in known and creator != known[key]])
        return CreatorsSubmitted(created=len(fresh), updated=len(changes) - len(fresh))


def _blank(request: SubmitCreators, change: CreatorChange) -> Creator:
    return Creator(
        public_id=uuid7(),
        org_id=request.org_id,
        stage_name="",
        email="",
        email_key=str(change.email_key),
        links=(),
        is_sandbox=request.sandbox_only,
    )
