"""Programs that checks need and that no lock file brings: `python -m deploy.tools prometheus docker …` makes them available.

A program in PATH is used as it is. Otherwise its Debian package is downloaded and unpacked below `.run/tools` (nothing is
installed, no service is started, no privileges are needed), or, for tool `python`, the locked packages of
requirements/deploy.txt go into a virtual environment there. Where that cannot be, one line says what to install.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from deploy.local.profile import ROOT, RUN

FOLDER: Final = RUN / "tools"
_LOCK: Final = ROOT / "requirements" / "deploy.txt"
_SECONDS_MAX: Final = 180  # for one download

# what is asked for -> the Debian packages that bring it (without what only their installed form needs)
PACKAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "prometheus": ("prometheus",),
    "alertmanager": ("prometheus-alertmanager",),
    # Compose 1.29 with all that it imports.
    "compose": (
        "docker-compose", "python3-attr", "python3-cached-property", "python3-certifi", "python3-chardet",
        "python3-charset-normalizer", "python3-distro", "python3-docker", "python3-dockerpty", "python3-docopt", "python3-dotenv",
        "python3-idna", "python3-jsonschema", "python3-packaging", "python3-pkg-resources", "python3-pyrsistent", "python3-requests",
        "python3-six", "python3-texttable", "python3-urllib3", "python3-websocket", "python3-yaml", "libyaml-0-2",
    ),
    # iptables serves the containers' own name server, inside their network namespaces.
    "docker": (
        "docker.io", "containerd", "runc", "tini", "iptables", "libip4tc2", "libip6tc2", "libxtables12", "libnftnl11", "libmnl0",
        "libnetfilter-conntrack3", "libnfnetlink0",
    ),
    "debootstrap": ("debootstrap",),
}  # fmt: skip
_PROGRAMS: Final = {
    "prometheus": ("prometheus", "promtool"),
    "alertmanager": ("amtool",),
    "compose": ("docker-compose",),
    "kubectl": ("kubectl",),
    "python": ("hadolint", "kubernetes-validate"),
    "debootstrap": ("debootstrap",),
    "docker": (
        "dockerd",
        "docker",
        "containerd",
        "containerd-shim-runc-v2",
        "runc",
        "docker-proxy",
        "docker-init",
        "iptables",
    ),
}
# Names that an installed package gets from Debian's alternatives.
_LINKS: Final = {"docker": {"iptables": "iptables-nft"}}


class ToolMissingError(Exception):
    """A program is not there and could not be fetched; the message is one line that says what to do."""


def path_of(tool: str) -> str:
    """PATH with the unpacked packages of `tool` in front."""
    return os.pathsep.join((*(str(folder) for folder in _bins(tool)), os.environ.get("PATH", os.defpath)))


def libraries_of(tool: str) -> str:
    """LD_LIBRARY_PATH for the unpacked programs of `tool`."""
    return os.pathsep.join(str(folder) for folder in sorted((FOLDER / tool / "usr" / "lib").glob("*-linux-gnu")))


def find(tool: str, program: str) -> Path | None:
    """Where `program` of `tool` is, if it is there already: in PATH, or unpacked."""
    found = shutil.which(program) or shutil.which(program, path=path_of(tool))
    return None if found is None else Path(found)


def fetch(tool: str) -> None:
    """Make the programs of `tool` available. Raises ToolMissingError."""
    if all(find(tool, program) for program in _PROGRAMS[tool]):
        return
    if tool == "python":
        _make_environment()
        return
    packages = PACKAGES.get(tool, ())
    if not packages or shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise ToolMissingError(f"missing: {tool}; install {', '.join(_PROGRAMS[tool])} and put them into PATH")
    folder = FOLDER / tool
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "packages").mkdir(parents=True)
    print(f"fetching {' '.join(packages)} into {folder}", flush=True)
    _run(["apt-get", "download", *packages], cwd=folder / "packages", tool=tool)
    for package in sorted((folder / "packages").glob("*.deb")):
        _run(["dpkg", "-x", str(package), str(folder)], cwd=folder, tool=tool)
    shutil.rmtree(folder / "packages")
    for link, target in _LINKS.get(tool, {}).items():
        (folder / "usr" / "sbin" / link).symlink_to(target)
    missing = [program for program in _PROGRAMS[tool] if find(tool, program) is None]
    if missing:
        raise ToolMissingError(f"{' '.join(packages)} did not bring {', '.join(missing)}; install them by hand")


def _make_environment() -> None:
    folder = FOLDER / "python" / "usr"
    shutil.rmtree(folder, ignore_errors=True)
    print(f"installing requirements/{_LOCK.name} into {folder}", flush=True)
    _run([sys.executable, "-m", "venv", str(folder)], cwd=ROOT, tool="python")
    pip = (
        str(folder / "bin" / "pip"),
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--require-hashes",
    )
    _run([*pip, "-r", str(_LOCK)], cwd=ROOT, tool="python")


def _bins(tool: str) -> list[Path]:
    return [FOLDER / tool / "usr" / "sbin", FOLDER / tool / "usr" / "bin"]


def _run(command: Sequence[str], *, cwd: Path, tool: str) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS_MAX,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise ToolMissingError(f"{tool}: `{' '.join(command)}` took longer than {_SECONDS_MAX} s") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ToolMissingError(f"{tool}: `{' '.join(command)}` failed: {last}")


def main(argv: Sequence[str]) -> int:
    """Exit status 0 when all is there, 2 with one line when it is not."""
    parser = argparse.ArgumentParser(prog="python -m deploy.tools", description=(__doc__ or "").partition(":")[0])
    parser.add_argument(
        "tools", nargs="+", choices=sorted(_PROGRAMS), metavar="TOOL", help=", ".join(sorted(_PROGRAMS))
    )
    try:
        for tool in parser.parse_args(argv).tools:
            fetch(tool)
    except ToolMissingError as exc:
        print(exc, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
