"""Whatever we install may be used as we use it: licences are on a list, and what is not plainly permissive is there by name."""

import re
from importlib import metadata

import pytest

from tests.contract.test_locks import REQUIREMENTS, pins

# Permissive: they ask for a notice and nothing else.
PERMISSIVE = re.compile(
    r"\b(MIT|MIT-0|MIT-CMU|Apache-2\.0|Apache License|Apache Software|BSD|BSD-\d-Clause|0BSD|ISC|PSF-2\.0|PSFL?|Python-2\.0|Python Software Foundation|Unlicense|Zlib|CC0-1\.0)\b",
    re.IGNORECASE,
)
REFUSED = re.compile(r"\b(A?GPL|LGPL|SSPL|BUSL|GNU|Commons Clause|Elastic)\b", re.IGNORECASE)
# File-level copyleft: used unchanged, as they come. Each was looked at.
NAMED = {
    "orjson": "MPL-2.0 OR (Apache-2.0 OR MIT)",
    "publicsuffixlist": "MPL-2.0: the list itself",
    "certifi": "MPL-2.0: Mozilla's list of authorities (tests, extras)",
    "hypothesis": "MPL-2.0: tests only",
    "pathspec": "MPL-2.0: tools only",
    "tqdm": "MPL-2.0 and MIT: tools only",
    "fqdn": "MPL-2.0: tests only",
}
LOCKED = sorted({name for lock in ("runtime", "dev", "extras") for name in pins(REQUIREMENTS / f"{lock}.txt")})


def licence_of(name: str) -> str:
    """What a distribution says of itself: expression, field, classifiers."""
    about = metadata.metadata(name)
    said = [(each or "")[:200] for field in ("License-Expression", "License") for each in about.get_all(field) or []]
    said += [each for each in about.get_all("Classifier") or [] if each.startswith("License ::")]
    return " / ".join(each for each in said if each)


def judged(name: str, licence: str) -> str:
    """Empty, or what is wrong with it."""
    if name in NAMED:
        return ""
    # "A OR B": one that may be chosen is enough.
    choices = re.split(r"\bOR\b", licence) if " OR " in licence else [licence]
    if any(PERMISSIVE.search(each) and not REFUSED.search(each) for each in choices):
        return ""
    return f"{name}: {licence or 'says nothing'}"


@pytest.mark.parametrize("name", LOCKED)
def test_every_licence_is_on_the_list(name: str) -> None:
    try:
        licence = licence_of(name)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{name} is not for this machine")  # of another system or Python
    assert judged(name, licence) == ""


@pytest.mark.parametrize(
    "licence", ["GPL-3.0-only", "GNU Lesser General Public License", "SSPL-1.0", "Proprietary", ""]
)
def test_what_is_not_permissive_is_found(licence: str) -> None:
    assert judged("planted", licence)


@pytest.mark.parametrize(
    "licence",
    ["MIT", "BSD-3-Clause", "Apache-2.0 OR GPL-2.0-only", "License :: OSI Approved :: Apache Software License"],
)
def test_what_is_permissive_is_let_in(licence: str) -> None:
    assert judged("planted", licence) == ""


def test_nobody_is_named_who_is_not_installed() -> None:
    assert {"orjson", "publicsuffixlist", "certifi"} <= set(NAMED) & set(LOCKED)
