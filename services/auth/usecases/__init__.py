"""What auth can do; `app.py` builds them, `entry` and the command line call them."""

from dataclasses import dataclass

from services.auth.usecases.accept_invitation import AcceptInvitation
from services.auth.usecases.add_user import AddUser
from services.auth.usecases.create_organization import CreateOrganization
from services.auth.usecases.create_role import CreateRole
from services.auth.usecases.invite_user import InviteUser
from services.auth.usecases.issue_key import IssueKey
from services.auth.usecases.issue_personal_key import IssuePersonalKey
from services.auth.usecases.log_deed import LogDeed
from services.auth.usecases.project_subscription import ProjectSubscription
from services.auth.usecases.record_calls import RecordCalls
from services.auth.usecases.remove_role import RemoveRole
from services.auth.usecases.remove_user import RemoveUser
from services.auth.usecases.rename_organization import RenameOrganization
from services.auth.usecases.replace_role import ReplaceRole
from services.auth.usecases.resolve_key import ResolveKey
from services.auth.usecases.revoke_key import RevokeKey
from services.auth.usecases.rotate_key import RotateKey
from services.auth.usecases.set_features import SetFeatures
from services.auth.usecases.set_organization_state import SetOrganizationState
from services.auth.usecases.update_key import UpdateKey
from services.auth.usecases.update_role import UpdateRole
from services.auth.usecases.update_user import UpdateUser


@dataclass(frozen=True, slots=True)
class UseCases:
    """Every use case, ready to be called."""

    accept_invitation: AcceptInvitation
    add_user: AddUser
    create_organization: CreateOrganization
    create_role: CreateRole
    invite_user: InviteUser
    issue_key: IssueKey
    issue_personal_key: IssuePersonalKey
    log_deed: LogDeed
    project_subscription: ProjectSubscription
    record_calls: RecordCalls
    remove_role: RemoveRole
    remove_user: RemoveUser
    rename_organization: RenameOrganization
    replace_role: ReplaceRole
    resolve_key: ResolveKey
    revoke_key: RevokeKey
    rotate_key: RotateKey
    set_features: SetFeatures
    set_organization_state: SetOrganizationState
    update_key: UpdateKey
    update_role: UpdateRole
    update_user: UpdateUser
