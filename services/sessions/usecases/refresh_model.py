"""The job behind a refresh that is due or that a user asked for."""

from dataclasses import dataclass

from libs.common.contracts.sessions import RefreshModel as RefreshJob
from services.sessions.domain.errors import ModelNotConnected, ModelNotFound, SyncLost
from services.sessions.domain.model import State
from services.sessions.domain.ports import Models
from services.sessions.usecases.refresh_session import RefreshSession, Why


@dataclass(frozen=True, slots=True)
class RefreshModel:
    """Renew a model's session: the one the job names, so that a second delivery finds its effect."""

    models: Models
    refresh: RefreshSession

    async def __call__(self, job: RefreshJob) -> None:
        """Whatever the platform says is written down by the refresh itself; there is nothing to try again here."""
        self.models.forget(job.model_id)  # what to do depends on the state, so ask the truth
        live = await self.models.find(job.org_id, job.model_id)
        if live is None:
            return
        stale = live.model.session_number if job.session_number is None else job.session_number
        if live.model.state is State.CONNECTED and live.model.session_number > stale:
            return  # a call met the dead session first, or the job came twice
        why = Why.ASKED if live.model.state is State.SYNC_LOST else Why.DUE
        try:
            await self.refresh(job.org_id, job.model_id, stale=stale, why=why)
        except (SyncLost, ModelNotConnected, ModelNotFound):
            return
