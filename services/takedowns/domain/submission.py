"""One submission, sorted: which URLs are candidates, which repeat one of the same request, which are invalid and why; and what became
of them in the end. Counting only; nothing here knows a database.
"""

import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from libs.common.contracts.creators import OfficialLink
from libs.common.contracts.takedowns import (
    GroupOutcome,
    HostContact,
    HostCounts,
    InvalidUrls,
    Submission,
    UrlsSubmitted,
)
from services.takedowns.domain.creator import NOTES_LENGTH_MAX
from services.takedowns.domain.errors import InvalidRequest
from services.takedowns.domain.states import Category
from services.takedowns.domain.url import InvalidUrlError, OwnProfiles, UrlReader

GROUPS_MAX: Final = 100  # of one request (Seed C)
URLS_MAX: Final = 10_000  # over all groups, before anything is folded
SAMPLES_MAX: Final = 20  # of invalid URLs, by reason
SAMPLE_LENGTH_MAX: Final = 500

Pair = tuple[int, bytes]  # creator and key: what is unique


class Target(msgspec.Struct, frozen=True):
    """A creator that URLs are submitted for."""

    id: int
    public_id: uuid.UUID
    links: tuple[OfficialLink, ...]


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A URL that is new as far as its request tells."""

    creator_id: int
    key: bytes
    href: str
    host: str
    category: Category = Category.COPYRIGHT


class Tally(msgspec.Struct):
    """How many URLs, and what became of them. What is in none of the three failed."""

    total: int = 0
    new: int = 0
    duplicate: int = 0
    invalid: int = 0


class Intake:
    """The URLs of one request, one creator after the other."""

    def __init__(self, reader: UrlReader) -> None:
        self._reader = reader
        self.candidates: dict[Pair, Candidate] = {}
        self.sites: dict[str, str] = {}  # of hosts of candidates
        self.total = Tally()
        self.by_host: dict[str, Tally] = {}
        self.by_creator: dict[int, Tally] = {}
        self.invalid: dict[str, list[str]] = {}  # reason -> samples
        self.invalid_count: dict[str, int] = {}

    def add(
        self, target: Target, profiles: OwnProfiles, urls: Sequence[str], category: Category = Category.COPYRIGHT
    ) -> None:
        """Sort `urls` of one creator; a part of them at a time leaves the loop to others."""
        of_creator = self.by_creator.setdefault(target.id, Tally())
        self.total.total += len(urls)
        of_creator.total += len(urls)
        candidates, hosts, repeated = self.candidates, [], []
        for raw in urls:
            try:
                url = self._reader.read(raw)
                if profiles.has(url):
                    raise InvalidUrlError("own_profile", url.host.shown)
            except InvalidUrlError as exc:
                self._refuse(exc, raw, of_creator)
                continue
            host, key = url.host, url.key
            shown, pair = host.shown, (target.id, key)
            hosts.append(shown)
            if pair in candidates:
                repeated.append(shown)
                continue
            candidates[pair] = Candidate(target.id, key, url.href, shown, category)
            self.sites[shown] = host.site
        for shown, count in Counter(hosts).items():  # once per host: thousands of URLs are of few
            self.by_host.setdefault(shown, Tally()).total += count
        for shown, count in Counter(repeated).items():
            for tally in (self.total, self.by_host[shown], of_creator):
                tally.duplicate += count

    def _refuse(self, error: InvalidUrlError, raw: str, of_creator: Tally) -> None:
        self.total.invalid += 1
        of_creator.invalid += 1
        if error.shown_host:
            of_host = self.by_host.setdefault(error.shown_host, Tally())
            of_host.total += 1
            of_host.invalid += 1
        self.invalid_count[error.reason] = self.invalid_count.get(error.reason, 0) + 1
        samples = self.invalid.setdefault(error.reason, [])
        if len(samples) < SAMPLES_MAX:
            samples.append(raw[:SAMPLE_LENGTH_MAX].replace("\x00", "\ufffd").encode(errors="replace").decode())

    def drop_known(self, known: Iterable[Pair]) -> None:
        """Candidates that turned out to be stored already."""
        for pair in known:
            candidate = self.candidates.pop(pair, None)
            if candidate is not None:
                for tally in (self.total, self.by_host[candidate.host], self.by_creator[candidate.creator_id]):
                    tally.duplicate += 1

    @property
    def samples(self) -> tuple[InvalidUrls, ...]:
        """What was invalid, by reason."""
        return tuple(
            InvalidUrls(reason=reason, n=self.invalid_count[reason], samples=tuple(samples))
            for reason, samples in self.invalid.items()
        )


class Outcome(msgspec.Struct, frozen=True):
    """What became of a submission: `stored` pairs are new and paid, candidates of `failed` creators are not there and free."""

    total: Tally
    by_host: dict[str, Tally]
    by_creator: dict[int, Tally]  # of creators whose part was taken
    failed: int


def outcome_of(intake: Intake, stored: Collection[Pair], failed: Collection[int]) -> Outcome:
    """Count. A candidate that was neither stored nor failed was stored by somebody else meanwhile: a duplicate."""
    total, failures = msgspec.structs.replace(intake.total), 0
    by_host = {host: msgspec.structs.replace(tally) for host, tally in intake.by_host.items()}
    by_creator = {id_: msgspec.structs.replace(tally) for id_, tally in intake.by_creator.items() if id_ not in failed}
    for pair, candidate in intake.candidates.items():
        if candidate.creator_id in failed:
            failures += 1
            continue
        tallies = (total, by_host[candidate.host], by_creator[candidate.creator_id])
        if pair in stored:
            for tally in tallies:
                tally.new += 1
        else:
            for tally in tallies:
                tally.duplicate += 1
    return Outcome(total, by_host, by_creator, failures)


def reply_of(
    batch_id: uuid.UUID,
    outcome: Outcome,
    contacts: Mapping[str, HostContact | None],
    groups: tuple[GroupOutcome, ...] = (),
) -> UrlsSubmitted:
    """What the caller is told."""
    return UrlsSubmitted(
        batch_id=batch_id,
        url_count=outcome.total.total,
        new=outcome.total.new,
        duplicate=outcome.total.duplicate,
        invalid=outcome.total.invalid,
        by_host={
            host: HostCounts(
                total=tally.total,
                new=tally.new,
                duplicate=tally.duplicate,
                invalid=tally.invalid,
                contact=contacts.get(host),
            )
            for host, tally in outcome.by_host.items()
        },
        failed=outcome.failed,
        groups=groups,
    )


def check_limits(submission: Submission) -> None:
    """Raise InvalidRequest, naming path and limit, for what is too much, too little, or cannot be stored."""
    if not 1 <= len(submission.groups) <= GROUPS_MAX:
        raise InvalidRequest(f"groups: 1 to {GROUPS_MAX} are expected")
    count = sum(len(group.urls) for group in submission.groups)
    if count > URLS_MAX:
        raise InvalidRequest(f"groups: {count} URLs, at most {URLS_MAX} are allowed over all groups")
    if submission.notes is not None and (len(submission.notes) > NOTES_LENGTH_MAX or "\x00" in submission.notes):
        raise InvalidRequest(f"notes: at most {NOTES_LENGTH_MAX} characters are allowed, and no NUL")
