"""Key names: those of the design, one slot per organization, a prefix in front."""

import re
import uuid

from libs.common.redis import keys
from libs.common.redis.client import Epoch

ORG, KEY = uuid.UUID(int=1), uuid.UUID(int=2)
EPOCH = Epoch(run_id="a" * 40, reign="12345678")


def test_names_are_the_documented_ones() -> None:
    assert keys.admission(ORG) == f"adm:{{{ORG}}}"
    assert keys.key_window(ORG, KEY) == f"adm:{{{ORG}}}:k:{KEY}"
    assert keys.key_window(ORG, KEY, "search") == f"adm:{{{ORG}}}:k:{KEY}:search"
    assert keys.lease(ORG, EPOCH) == f"lz:{{{ORG}}}:{'a' * 40}12345678"
    assert keys.lease_negative(ORG) == f"lz:{{{ORG}}}:e"
    assert keys.lease_refill_lock(ORG) == f"lz:{{{ORG}}}:r"
    assert keys.failures("10.0.0.1") == "fail:{10.0.0.1}"
    assert keys.pace("an-app") == "pace:{an-app}"


def test_an_epoch_and_its_name_make_the_same_key() -> None:
    assert keys.lease(ORG, EPOCH) == keys.lease(ORG, EPOCH.name)


def test_all_keys_of_a_call_share_one_slot_and_the_prefix() -> None:
    names = [
        keys.admission(ORG, prefix="t1:"),
        keys.key_window(ORG, KEY, prefix="t1:"),
        keys.lease(ORG, EPOCH, prefix="t1:"),
        keys.lease_negative(ORG, prefix="t1:"),
        keys.lease_refill_lock(ORG, prefix="t1:"),
    ]
    assert {re.search(r"\{(.+?)\}", name)[1] for name in names} == {str(ORG)}  # type: ignore[index]
    assert all(name.startswith("t1:") for name in names)
    assert len(set(names)) == len(names)
