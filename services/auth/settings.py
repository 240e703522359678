"""The settings of auth, read from `FANGATE_*` (docs/operations.md)."""

from libs.common.peppers import PepperRing
from libs.common.settings import Secret, SettingsError
from libs.common.worker import WorkerSettings


class AuthSettings(WorkerSettings, frozen=True, kw_only=True):
    """What auth reads beside what every worker does."""

    key_peppers: Secret  # name:hex64,… - the same ring as the edge's, active first

    def pepper_ring(self) -> PepperRing:
        """The ring of FANGATE_KEY_PEPPERS. Raises SettingsError, which shows no pepper."""
        try:
            return PepperRing.parse(self.key_peppers.reveal())
        except ValueError as exc:
            raise SettingsError(f"FANGATE_KEY_PEPPERS: {exc}") from None
