"""When a service that ended is started again."""

from deploy.local.services import Crashes


def test_a_service_that_ends_again_and_again_waits_longer_and_then_stays_down() -> None:
    crashes = Crashes()

    assert [crashes.another(float(second)) for second in range(5)] == [0.5, 1.0, 2.0, 5.0, None]


def test_crashes_of_long_ago_count_no_more() -> None:
    crashes = Crashes()

    waits = [crashes.another(60.0 * minute) for minute in range(100)]

    assert waits == [0.5] * 100


def test_the_minute_slides() -> None:
    crashes = Crashes()
    assert [crashes.another(second) for second in (0.0, 30.0, 59.0)] == [0.5, 1.0, 2.0]

    # the first one is forgotten, the other two are not
    assert crashes.another(60.0) == 2.0
    assert crashes.another(89.0) == 5.0
    assert crashes.another(89.5) is None
