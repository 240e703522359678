"""What the service does for URLs after they were accepted, one verb per file beside this."""

from dataclasses import dataclass

from services.takedowns.usecases.check_urls import CheckUrls
from services.takedowns.usecases.manage_takedowns import ManageTakedowns
from services.takedowns.usecases.plan_notices import PlanNotices
from services.takedowns.usecases.read_mail import ReadMail
from services.takedowns.usecases.report_csam import Report
from services.takedowns.usecases.resolve_host import ResolveHost
from services.takedowns.usecases.send_notice import SendNotice
from services.takedowns.usecases.share_notices import ChooseSharing, ShareNotices
from services.takedowns.usecases.start_urls import StartUrls
from services.takedowns.usecases.tell_creators import TellCreators


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Built once by `app.py`. None: not set up (no mailbox, no looking)."""

    check_urls: CheckUrls | None
    choose_sharing: ChooseSharing
    manage_takedowns: ManageTakedowns
    plan_notices: PlanNotices
    read_mail: ReadMail | None
    report_csam: Report
    resolve_host: ResolveHost
    send_notice: SendNotice
    share_notices: ShareNotices | None
    start_urls: StartUrls
    tell_creators: TellCreators
