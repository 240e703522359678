"""Scripts: the digest is the one Redis computes."""

import hashlib

import pytest

from libs.common.redis.scripts import load_script, script


def test_the_digest_is_the_sha1_of_the_text() -> None:
    made = script("one", "return 1")
    assert (made.name, made.sha) == ("one", hashlib.sha1(b"return 1", usedforsecurity=False).hexdigest())


def test_a_file_that_is_not_there_is_noticed_at_import() -> None:
    with pytest.raises(FileNotFoundError):
        load_script("libs.common.redis", "absent.lua")
    with pytest.raises(ValueError, match="package"):
        load_script(None, "absent.lua")
