"""`python -m deploy.kubernetes.manifests` writes what follows from the services' entries: the base, and the components that
have a part per service. What is written by hand lies beside it: overlays, ingress, operators' clusters, development servers.
"""

import sys
from pathlib import Path
from typing import Any, Final

from deploy.documents import ROOT, to_yaml, write
from deploy.kubernetes import optional
from deploy.kubernetes.workloads import CONFIG, migration, workload
from deploy.system import SERVICES, OnCpu, OnQueue

FOLDER: Final = ROOT / "deploy" / "kubernetes"
_SOURCE: Final = "make manifests"
_KUSTOMIZE: Final = "kustomize.config.k8s.io"
# What every environment starts from; overlays change it with `behavior: merge`.
_CONFIG: Final = {"FANGATE_ENV": "production", "FANGATE_LOG_LEVEL": "info", "FANGATE_DRAIN_SECONDS": "25"}


def files() -> dict[Path, str]:
    """Path -> text of every generated file."""
    trees: dict[str, Any] = {
        "base/kustomization.yaml": _base(),
        **{f"base/{service.name}.yaml": workload(service) for service in SERVICES},
        "base/migrate/migrate.yaml": migration(),
        "base/migrate/kustomization.yaml": {
            "apiVersion": f"{_KUSTOMIZE}/v1beta1",
            "kind": "Kustomization",
            "resources": ["migrate.yaml"],
        },
        "components/hpa/autoscalers.yaml": optional.autoscalers(),
        "components/hpa/kustomization.yaml": _component("autoscalers.yaml", patches=optional.without_replicas(OnCpu)),
        "components/keda/scaled-objects.yaml": optional.scaled_objects(),
        "components/keda/kustomization.yaml": _component(
            "scaled-objects.yaml", patches=optional.without_replicas(OnQueue)
        ),
        "components/network-policies/policies.yaml": optional.network_policies(),
        "components/network-policies/kustomization.yaml": _component("policies.yaml"),
        "components/monitoring/pod-monitor.yaml": [optional.pod_monitor()],
        "components/monitoring/kustomization.yaml": _component("pod-monitor.yaml", "rules.yaml"),
        "components/external-secrets/secrets.yaml": optional.external_secrets(),
        "components/external-secrets/kustomization.yaml": _component("secrets.yaml"),
        "overlays/dev/secret.example.yaml": optional.example_secrets(),
    }
    return {
        FOLDER / path: to_yaml(*(content if isinstance(content, list) else [content]), source=_SOURCE)
        for path, content in trees.items()
    }


def _base() -> dict[str, Any]:
    return {
        "apiVersion": f"{_KUSTOMIZE}/v1beta1",
        "kind": "Kustomization",
        "resources": [f"{service.name}.yaml" for service in SERVICES],
        "configMapGenerator": [{"name": CONFIG, "literals": [f"{name}={value}" for name, value in _CONFIG.items()]}],
    }


def _component(*resources: str, patches: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "apiVersion": f"{_KUSTOMIZE}/v1alpha1",
        "kind": "Component",
        "resources": list(resources),
        **({"patches": patches} if patches else {}),
    }


if __name__ == "__main__":
    write(files(), folder=FOLDER / "base", pattern="*.yaml")
    sys.exit(0)
