"""Lua by file: the text lives beside the store that uses it, the digest is computed once."""

import hashlib
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the name Redis knows it by (the SHA-1 of its text)."""

    name: str
    text: str
    sha: str


def script(name: str, text: str) -> Script:
    """A script from its text."""
    return Script(name=name, text=text, sha=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def load_script(package: str | None, file: str) -> Script:
    """Read `file` (`admission.lua`) of `package`; raises FileNotFoundError, ValueError without a package."""
    if not package:
        raise ValueError("load_script needs the package that holds the file")
    return script(file.removesuffix(".lua"), resources.files(package).joinpath(file).read_text(encoding="utf-8"))
