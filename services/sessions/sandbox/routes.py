"""Which function serves which route of the catalogue, and on which paths.

The sandbox speaks both dialects of the catalogue at once: a route that has two upstream paths is served on both.
"""

from typing import Final

from libs.common.contracts.catalogue import CatalogueRoute
from services.sessions.sandbox.calls import Handler
from services.sessions.sandbox.data import (
    agency,
    chats,
    fans,
    insights,
    lists,
    media,
    messages,
    payouts,
    posts,
    tracking,
    users,
)  # fmt: skip

HANDLERS: Final[dict[str, Handler]] = {
    "users_read_me": users.read_me,
    "chats_list": chats.list_chats,
    "chats_create": chats.create_chat,
    "chats_read": chats.read_chat,
    "chats_update": chats.update_chat,
    "chats_read_unread": chats.read_unread,
    "chats_read_statuses": chats.read_statuses,
    "chats_list_media": chats.list_media,
    "messages_list": messages.list_messages,
    "messages_send": messages.send_message,
    "messages_delete": messages.delete_message,
    "messages_like": messages.like_message,
    "mass_messages_list": messages.list_mass_messages,
    "mass_messages_send": messages.send_mass_message,
    "mass_messages_cancel": messages.cancel_mass_message,
    "user_lists_list": lists.list_lists,
    "user_lists_list_smart": lists.list_smart,
    "user_lists_create": lists.create_list,
    "user_lists_list_members": lists.list_members,
    "user_lists_add_members": lists.add_members,
    "user_lists_remove_member": lists.remove_member,
    "followers_list": fans.list_followers,
    "subscribers_list": fans.list_subscribers,
    "fans_read_info": fans.read_info,
    "fans_read": fans.read_fan,
    "earnings_list": insights.list_earnings,
    "earnings_list_top_spenders": insights.list_top_spenders,
    "subscribers_read_counts": insights.read_subscriber_counts,
    "earnings_read_chart": insights.read_chart,
    "earnings_read_overview": insights.read_overview,
    "reach_read_visitors": insights.read_visitors,
    "payouts_read_balances": payouts.read_balances,
    "payouts_list_requests": payouts.list_requests,
    "referrals_list_payouts": payouts.list_referral_requests,
    "payouts_list_transactions": payouts.list_transactions,
    "payouts_read_stats": payouts.read_stats,
    "payouts_list_chargebacks": payouts.list_chargebacks,
    "tracking_links_list": tracking.list_links,
    "tracking_links_create": tracking.create_link,
    "tracking_links_read": tracking.read_link,
    "tracking_links_delete": tracking.delete_link,
    "posts_list": posts.list_posts,
    "posts_read": posts.read_post,
    "posts_create": posts.create_post,
    "vault_list_media": media.list_media,
    "media_upload_signed_create": media.create_upload,
    "media_upload_read_part": media.read_part,
    "media_upload_signed_finish": media.finish_upload,
    "vault_lists_list": media.list_folders,
    "agency_creators_list": agency.list_creators,
    "agency_chats_list": agency.for_creator(chats.list_chats),
    "agency_chats_create": agency.for_creator(chats.create_chat),
    "agency_messages_list": agency.for_creator(messages.list_messages),
    "agency_messages_send": agency.for_creator(messages.send_message),
    "agency_followers_list": agency.for_creator(fans.list_followers),
    "agency_subscribers_list": agency.for_creator(fans.list_subscribers),
    "agency_earnings_list": agency.for_creator(insights.list_earnings),
    "agency_earnings_list_top_spenders": agency.for_creator(insights.list_top_spenders),
    "agency_subscribers_read_counts": agency.for_creator(insights.read_subscriber_counts),
    "agency_members_list": agency.list_team_members,
}


def paths_of(route: CatalogueRoute) -> tuple[str, ...]:
    """The upstream paths of a route in both dialects, each once."""
    return tuple(dict.fromkeys(path for path in (route.session_upstream, route.fanvue_upstream) if path))
