"""What the service can do, one verb per file."""

from dataclasses import dataclass

from services.takedowns.usecases.forget_creator import ForgetCreator, PurgeCreators
from services.takedowns.usecases.manage_creators import ManageCreators
from services.takedowns.usecases.read_batches import ReadBatches
from services.takedowns.usecases.refund_urls import RefundUrls, SendRefunds
from services.takedowns.usecases.register_creators import RegisterCreators
from services.takedowns.usecases.right_of_way import RightOfWay
from services.takedowns.usecases.settle_batches import SettleBatches
from services.takedowns.usecases.submit_urls import SubmitUrls


@dataclass(frozen=True, slots=True)
class UseCases:
    """Every use case, built once by `app.py`."""

    forget_creator: ForgetCreator
    manage_creators: ManageCreators
    purge_creators: PurgeCreators
    read_batches: ReadBatches
    refund_urls: RefundUrls
    register_creators: RegisterCreators
    send_refunds: SendRefunds
    settle_batches: SettleBatches
    submit_urls: SubmitUrls
    way: RightOfWay
