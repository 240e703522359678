"""The figures of notices and removal checks. Never a host as a label."""

from libs.common.telemetry.metrics import Counter, Gauge, Histogram

NOTICES = Counter("fangate_takedowns_notices_total", "Notices by what became of them", ["stage", "channel", "outcome"])
BLOCKED = Counter(
    "fangate_takedowns_unverified_contact_blocked_total", "Notices not mailed because nobody verified the contact"
)
BOUNCES = Counter("fangate_takedowns_bounces_total", "Notices that came back")
INBOUND = Counter("fangate_takedowns_inbound_total", "Mails that came in", ["kind"])
POISONED = Counter("fangate_takedowns_poisoned_total", "Groups of URLs whose processing met a defect")
CREATOR_MAILS = Counter("fangate_takedowns_creator_mails_total", "Mails to organizations about a creator", ["outcome"])
CHECKS = Counter("fangate_takedowns_checks_total", "Looks at URLs", ["verdict"])
REMOVAL_HOURS = Histogram(
    "fangate_takedowns_time_to_removal_hours",
    "From the last notice to the proof of removal",
    buckets=(1, 6, 12, 24, 48, 72, 120, 168, 336, 720, 2160),
)
ACTIONS = Gauge("fangate_takedowns_action_required", "Things a person has to do")
LUMEN_COPIES = Counter("fangate_takedowns_lumen_copies_total", "Copies of notices for the public", ["outcome"])
CSAM_WAITING = Gauge("fangate_takedowns_csam_waiting", "Reports for the authorities that wait for a person")
OLDEST_DUE = Gauge("fangate_takedowns_oldest_due_seconds", "By how much the oldest step for a URL is late")
STALE = Gauge("fangate_takedowns_directory_stale_entries", "Directory entries nobody verified for 180 days")
BOOTSTRAP_OLD = Gauge("fangate_takedowns_rdap_bootstrap_old_files", "RDAP bootstrap files nobody confirmed for 90 days")
