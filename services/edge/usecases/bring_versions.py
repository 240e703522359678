"""What another service changed about callers is in force everywhere before anybody is told so."""

from uuid import UUID

from libs.common.contracts.auth import Changed, Moving
from services.edge.domain.ports import AdmissionAway, VersionedAdmission
from services.edge.domain.refusal import Refusal


async def bring_to_every_edge(versions: VersionedAdmission, org_id: UUID, reply: Moving) -> None:
    """From here on the admission script refuses every principal made before the change, whichever edge holds it. `org_id` is whose
    `av` a `Changed` names. Raises Refusal (503).
    """
    moved = [(each.org_id, each.av) for each in reply.moved]
    if isinstance(reply, Changed):
        moved.append((org_id, reply.av))
    try:
        for changed_org_id, av in moved:
            await versions.raise_version(changed_org_id, av)
    except AdmissionAway as exc:
        raise Refusal(
            "UNAVAILABLE", "The change is stored, but may not be in force everywhere yet: repeat the request"
        ) from exc
