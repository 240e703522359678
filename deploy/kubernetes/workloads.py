"""The manifests of one service, from its entry in `deploy/system.py`: Deployment, ServiceAccount, disruption budget, and
for the edge a Service; and the Job that migrates.

What all pods have in common is said once, here: they fulfil the pod security standard `restricted`, read secrets from
files, and are drained before they are killed.
"""

from typing import Any, Final

from deploy.system import ADMIN_PORT, PUBLIC_PORT, SERVICES, USER_ID, Fixed, OnCpu, OnQueue, Service

APP: Final = "fangate"
IMAGE: Final = "fangate"  # each overlay says which one that is, by digest
CONFIG: Final = "fangate-config"
SECRETS_FOLDER: Final = "/run/secrets/fangate"
PRE_STOP_SECONDS: Final = 5  # for endpoints to forget a pod before it refuses connections
SANDBOX_URL: Final = "http://fangate-sandbox:8090"
_TMP_SIZE: Final = "64Mi"
_READABLE_BY_GROUP: Final = 0o440


def labels(component: str) -> dict[str, str]:
    """What selects the pods of a component."""
    return {"app.kubernetes.io/name": APP, "app.kubernetes.io/component": component}


def name_of(service: Service) -> str:
    return f"{APP}-{service.name}"


def secret_files(secrets: tuple[str, ...]) -> dict[str, str]:
    """Setting -> the file it is read from: the key of the Secret is the setting in lower case."""
    return {f"FANGATE_{name}_FILE": f"{SECRETS_FOLDER}/{name.lower()}" for name in secrets}


def migration_secrets() -> tuple[str, ...]:
    """An owner's DSN, and those of the logins whose passwords it sets."""
    stateful = sorted(service.name for service in SERVICES if "POSTGRES_DSN" in service.secrets)
    return tuple(f"POSTGRES_DSN_{name.upper()}" for name in ("migrate", *stateful))


def workload(service: Service) -> list[dict[str, Any]]:
    """Everything of one service in the base."""
    documents = [_account(name_of(service), service.name), _deployment(service), _budget(service)]
    return [*documents, _public_service(service)] if service.is_public else documents


def migration() -> list[dict[str, Any]]:
    """The Job, with an account of its own. Overlays name it after the release: a Job cannot be changed."""
    name = f"{APP}-migrate"
    container = {
        **_container("migrate", ["python", "-m", "libs.common.db.migrate"], secret_files(migration_secrets())),
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
    }
    template = {
        "metadata": {"labels": labels("migrate")},
        "spec": {**_pod(name, container, secret=name), "restartPolicy": "Never"},
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels("migrate")},
        "spec": {
            "backoffLimit": 3,
            "activeDeadlineSeconds": 900,
            "ttlSecondsAfterFinished": 604_800,
            "template": template,
        },
    }
    return [_account(name, "migrate"), job]


def _deployment(service: Service) -> dict[str, Any]:
    name = name_of(service)
    container = {
        **_container(service.name, ["python", "-m", f"services.{service.name}"], secret_files(service.secrets)),
        "ports": _ports(service),
        "startupProbe": _probe("/livez", period=1, failures=60),
        "livenessProbe": _probe("/livez", period=10, failures=3),
        "readinessProbe": _probe("/readyz", period=5, failures=2),
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}},
        "resources": {
            # No limit of CPU: throttling adds latency to everybody for the sake of an idle node.
            "requests": {"cpu": service.cpu, "memory": service.memory},
            "limits": {"memory": service.memory_max},
        },
    }
    container["envFrom"] = [{"configMapRef": {"name": CONFIG}}]
    container["env"] = [*_shares(service), *container["env"]]
    spread = [
        {
            "maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": labels(service.name)},
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]  # fmt: skip
    pod = {
        **_pod(name, container, secret=name),
        "terminationGracePeriodSeconds": service.grace_seconds,
        "topologySpreadConstraints": spread,
    }
    spec = {
        "replicas": service.scaling.replicas if isinstance(service.scaling, Fixed) else service.scaling.least,
        "revisionHistoryLimit": 3,
        "selector": {"matchLabels": labels(service.name)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {"metadata": {"labels": labels(service.name)}, "spec": pod},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels(service.name)},
        "spec": spec,
    }


def _shares(service: Service) -> list[dict[str, str]]:
    """Into how many parts a process divides what it keeps by itself: as many as there may be, so that a limit is never
    exceeded.
    """
    setting = f"REPLICAS_{service.name.upper()}"
    if setting not in service.fields or not isinstance(service.scaling, OnCpu | OnQueue):
        return []
    return [{"name": f"FANGATE_{setting}", "value": str(service.scaling.most)}]


def _pod(name: str, container: dict[str, Any], *, secret: str) -> dict[str, Any]:
    return {
        "serviceAccountName": name,
        "automountServiceAccountToken": False,
        # Links would put FANGATE_EDGE_PORT and the like into the environment: settings that nobody knows stop the start.
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": _TMP_SIZE}},
            {"name": "secrets", "secret": {"secretName": secret, "defaultMode": _READABLE_BY_GROUP}},
        ],
    }


def _container(name: str, command: list[str], files: dict[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "image": IMAGE,
        "command": command,
        "env": [{"name": variable, "value": path} for variable, path in files.items()],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 (of the container)
            {"name": "secrets", "mountPath": SECRETS_FOLDER, "readOnly": True},
        ],
    }


def _ports(service: Service) -> list[dict[str, Any]]:
    admin = {"name": "admin", "containerPort": ADMIN_PORT}
    return [{"name": "http", "containerPort": PUBLIC_PORT}, admin] if service.is_public else [admin]


def _probe(path: str, *, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "admin"},
        "periodSeconds": period,
        "timeoutSeconds": 2,  # a check inside has one second
        "failureThreshold": failures,
    }


def _account(name: str, component: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "labels": labels(component)},
        "automountServiceAccountToken": False,
    }


def _budget(service: Service) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name_of(service), "labels": labels(service.name)},
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": labels(service.name)},
        },
    }


def _public_service(service: Service) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name_of(service), "labels": labels(service.name)},
        "spec": {
            "type": "ClusterIP",
            "selector": labels(service.name),
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
        },
    }
