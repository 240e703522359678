"""Sign a model in while its user waits, beside the job that was enqueued for it: whoever is first does it, once."""

import contextlib
import uuid
from collections.abc import Awaitable, Callable

from libs.common.contracts.sessions import ConnectModel as ConnectJob
from libs.common.errors import Transient
from libs.common.ids import uuid7
from services.sessions.usecases.single_flight import SingleFlight


class ConnectNow:
    """`connect` is the job's use case. A caller that gives up does not end the sign-in."""

    def __init__(self, connect: Callable[[ConnectJob, uuid.UUID], Awaitable[None]]) -> None:
        self._connect = connect
        self._flights: SingleFlight[None] = SingleFlight()

    async def __call__(self, org_id: uuid.UUID, model_id: uuid.UUID) -> None:
        """Return when the platform has answered; also when it has trouble, for then the job tries again later."""
        job = ConnectJob(org_id=org_id, model_id=model_id)
        with contextlib.suppress(Transient):
            await self._flights.run(model_id, lambda: self._connect(job, uuid7()))
