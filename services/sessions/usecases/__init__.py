"""What the service can do, one verb per file."""

from dataclasses import dataclass

from services.sessions.usecases.connect_model import AskConnect, ConnectModel
from services.sessions.usecases.disconnect_model import DisconnectModel
from services.sessions.usecases.proxy_call import ProxyCall
from services.sessions.usecases.refresh_model import RefreshModel
from services.sessions.usecases.refresh_session import RefreshSession


@dataclass(frozen=True, slots=True)
class UseCases:
    """Every use case, built once by `app.py`."""

    ask_connect: AskConnect
    connect_model: ConnectModel
    disconnect_model: DisconnectModel
    proxy_call: ProxyCall
    refresh_model: RefreshModel
    refresh_session: RefreshSession
