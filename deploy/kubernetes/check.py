"""`python -m deploy.kubernetes.check`, the heart of `make k8s`: renders every kustomization and judges it without a cluster,
by the schemas of Kubernetes (three versions), by those of the operators' resources, and by the policies.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from deploy.documents import ROOT, from_yaml, to_yaml
from deploy.kubernetes import policies, resources
from deploy.kubernetes.policies import Rendered
from deploy.tools import ToolMissingError, fetch, find

FOLDER: Final = ROOT / "deploy" / "kubernetes"
KUSTOMIZATIONS: Final = (
    "overlays/dev",
    "overlays/staging",
    "overlays/production",
    "tests/minimal",
    "tests/all-components",
)
_RELEASED: Final = {"overlays/staging", "overlays/production"}
VERSIONS: Final = (
    "1.30",
    "1.34",
    "1.37",
)  # the oldest that knows the pause before SIGTERM, and the newest with a schema
_SECONDS_MAX: Final = 120.0


@cache
def render(kustomization: str) -> Rendered:
    """What `kubectl apply -k` would send. Raises ToolMissingError, CalledProcessError with kustomize's complaint."""
    program = find("kubectl", "kubectl")
    if program is None:
        raise ToolMissingError("missing: kubectl (1.27 or newer), for its kustomize; install it and put it into PATH")
    done = subprocess.run(
        [program, "kustomize", str(FOLDER / kustomization)],
        capture_output=True,
        text=True,
        check=True,
        timeout=_SECONDS_MAX,
    )
    return Rendered(tuple(from_yaml(done.stdout)), is_released=kustomization in _RELEASED)


def custom_complaints(rendered: Rendered) -> list[str]:
    """What the operators would refuse."""
    return [
        complaint
        for document in rendered.documents
        if resources.is_custom(document)
        for complaint in resources.complaints(document)
    ]


def schema_complaints(rendered: Rendered, program: Path) -> list[str]:
    """What Kubernetes would refuse, in each of its versions."""
    found: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rendered.yaml"
        file.write_text(
            to_yaml(*(each for each in rendered.documents if not resources.is_custom(each))), encoding="utf-8"
        )
        for version in VERSIONS:
            command = [str(program), "--strict", "--quiet", "-k", version, str(file)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS_MAX)
            if done.returncode != 0:
                found.append(f"Kubernetes {version}: {(done.stdout + done.stderr).strip()[-500:]}")
    return found


def main() -> int:
    """Exit status 0 when nothing is wrong, 1 with every complaint, 2 when a program is missing."""
    try:
        fetch("python")
        validator = find("python", "kubernetes-validate")
        assert validator is not None
        judges: dict[str, Callable[[Rendered], list[str]]] = {
            "schemas": lambda rendered: schema_complaints(rendered, validator),
            "custom resources": custom_complaints,
            "policies": policies.complaints,
        }
        wrong = 0
        for name in KUSTOMIZATIONS:
            rendered = render(name)
            said = [f"{judge}: {complaint}" for judge, ask in judges.items() for complaint in ask(rendered)]
            print(f"{name}: {len(rendered.documents)} objects, {len(said)} complaints")
            print("".join(f"  {complaint}\n" for complaint in said), end="")
            wrong += len(said)
    except ToolMissingError as exc:
        print(exc, file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as exc:
        print(f"{name} cannot be rendered: {exc.stderr.strip()}", file=sys.stderr)
        return 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
