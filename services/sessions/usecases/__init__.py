"""What the service can do, one verb per file."""

from dataclasses import dataclass

from services.sessions.usecases.connect_model import AskConnect, ConnectModel
from services.sessions.usecases.create_model import CreateModel
from services.sessions.usecases.delete_model import DeleteModel
from services.sessions.usecases.disconnect_model import DisconnectModel
from services.sessions.usecases.manage_model import ManageModel
from services.sessions.usecases.proxy_call import ProxyCall
from services.sessions.usecases.refresh_model import RefreshModel
from services.sessions.usecases.refresh_session import RefreshSession
from services.sessions.usecases.use_consent import UseConsent
from services.sessions.usecases.use_link import UseLink


@dataclass(frozen=True, slots=True)
class UseCases:
    """Every use case, built once by `app.py`."""

    ask_connect: AskConnect
    connect_model: ConnectModel
    create_model: CreateModel
    delete_model: DeleteModel
    disconnect_model: DisconnectModel
    manage_model: ManageModel
    proxy_call: ProxyCall
    refresh_model: RefreshModel
    refresh_session: RefreshSession
    use_consent: UseConsent
    use_link: UseLink
