"""The trip of a browser to a platform and back."""

import base64
import hashlib

from services.edge.domain.consent import WORD, Trip


def test_no_two_trips_share_anything() -> None:
    one, other = Trip.begin(), Trip.begin()
    assert {one.state, one.secret, one.verifier, one.challenge}.isdisjoint(
        {other.state, other.secret, other.verifier, other.challenge}
    )
    assert one.digest != other.digest


def test_it_is_the_same_again_from_its_two_words_and_no_other() -> None:
    trip = Trip.begin()
    again = Trip(trip.state, trip.secret)
    assert (again.verifier, again.digest) == (trip.verifier, trip.digest)
    for wrong in (
        Trip(trip.state, Trip.begin().secret),
        Trip(Trip.begin().state, trip.secret),
        Trip(trip.secret, trip.state),
    ):
        assert wrong.verifier != trip.verifier
        assert wrong.digest != trip.digest


def test_the_challenge_is_that_of_pkce() -> None:
    trip = Trip("a" * 43, "b" * 43)
    digest = hashlib.sha256(trip.verifier.encode()).digest()
    assert trip.challenge == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert all(WORD.fullmatch(word) for word in (trip.verifier, trip.challenge, Trip.begin().state))


def test_it_shows_nothing_of_itself() -> None:
    trip = Trip.begin()
    assert trip.state not in repr(trip)
    assert trip.secret not in repr(trip)
