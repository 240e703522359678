"""What auth can do; `app.py` builds them, `entry` and the command line call them."""

from dataclasses import dataclass

from services.auth.usecases.accept_invitation import AcceptInvitation
from services.auth.usecases.add_user import AddUser
from services.auth.usecases.authorize_app import AuthorizeApp, RevokeGrant
from services.auth.usecases.create_app import CreateApp, RotateAppSecret
from services.auth.usecases.create_organization import CreateOrganization
from services.auth.usecases.create_role import CreateRole
from services.auth.usecases.end_app import EndApp, EndDeadGrants, OutdateGrantors
from services.auth.usecases.forget_sign_ins import ForgetSignIns
from services.auth.usecases.give_tokens import GiveTokens
from services.auth.usecases.invite_user import InviteUser
from services.auth.usecases.issue_key import IssueKey
from services.auth.usecases.issue_own_key import IssueOwnKey
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
from services.auth.usecases.session import ShowSession, SignIn, SignOut
from services.auth.usecases.set_features import SetFeatures
from services.auth.usecases.set_organization_state import SetOrganizationState
from services.auth.usecases.set_password import JoinWithPassword, LinkPassword, SetPassword
from services.auth.usecases.show_token import EndTokens, IntrospectTokens
from services.auth.usecases.update_app import UpdateApp
from services.auth.usecases.update_key import UpdateKey
from services.auth.usecases.update_role import UpdateRole
from services.auth.usecases.update_user import UpdateUser
from services.auth.usecases.verify_domain import VerifyDomain


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


@dataclass(frozen=True, slots=True)
class AppUseCases:
    """What is done about apps of third parties, and by people who sign in."""

    authorize_app: AuthorizeApp
    create_app: CreateApp
    end_app: EndApp
    end_dead_grants: EndDeadGrants
    end_tokens: EndTokens
    forget_sign_ins: ForgetSignIns
    give_tokens: GiveTokens
    introspect_tokens: IntrospectTokens
    issue_own_key: IssueOwnKey
    join_with_password: JoinWithPassword
    link_password: LinkPassword
    outdate_grantors: OutdateGrantors
    revoke_grant: RevokeGrant
    rotate_app_secret: RotateAppSecret
    set_password: SetPassword
    show_session: ShowSession
    sign_in: SignIn
    sign_out: SignOut
    update_app: UpdateApp
    verify_domain: VerifyDomain
