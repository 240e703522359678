"""What an overlay may add for every service: scalers, network policies, monitors, secrets from a store. Each is a kustomize
component; these are the parts of it that follow from the services' entries.
"""

from typing import Any, Final

from deploy.kubernetes.workloads import APP, labels, migration_secrets, name_of
from deploy.monitoring.alerts import JOB
from deploy.system import ADMIN_PORT, PUBLIC_PORT, SERVICES, OnCpu, OnQueue, Service

# Where the cluster and the networks beside it live: servers of ours are there, and nothing that a platform or a
# customer names may be.
PRIVATE: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
NEVER: Final = (*PRIVATE, "169.254.0.0/16", "100.64.0.0/10")
_BACKING_PORTS: Final = {"POSTGRES_DSN": (5432,), "AMQP_URL": (5671, 5672), "REDIS_URL": (6379,)}
_PROMETHEUS: Final = "http://prometheus-operated.monitoring.svc:9090"
_STORE: Final = {"kind": "ClusterSecretStore", "name": "fangate"}


def autoscalers() -> list[dict[str, Any]]:
    """One per service that scales by CPU."""
    return [
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": name_of(service), "labels": labels(service.name)},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name_of(service)},
                "minReplicas": service.scaling.least,
                "maxReplicas": service.scaling.most,
                "metrics": [_cpu(service.scaling.percent)],
                "behavior": {
                    "scaleDown": {
                        "stabilizationWindowSeconds": 300,
                        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
                    }
                },
            },
        }
        for service in SERVICES
        if isinstance(service.scaling, OnCpu)
    ]


def scaled_objects() -> list[dict[str, Any]]:
    """KEDA: one per service that scales by its queue. The login for RabbitMQ's HTTP API comes from Secret `fangate-keda`."""
    authentication = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "TriggerAuthentication",
        "metadata": {"name": "fangate-rabbitmq"},
        # Apart, not inside the URL: a password may hold any character.
        "spec": {
            "secretTargetRef": [
                {"parameter": name, "name": "fangate-keda", "key": name} for name in ("host", "username", "password")
            ]
        },
    }
    return [
        authentication,
        *(_scaled(service, service.scaling) for service in SERVICES if isinstance(service.scaling, OnQueue)),
    ]


def without_replicas(*kinds: type) -> list[dict[str, Any]]:
    """Patches: what is scaled must not be set back to its first number by every apply."""
    return [
        {
            "target": {"kind": "Deployment", "name": name_of(service)},
            "patch": "- op: remove\n  path: /spec/replicas\n",
        }
        for service in SERVICES
        if isinstance(service.scaling, kinds)
    ]


def network_policies() -> list[dict[str, Any]]:
    """Deny all, allow names to be looked up, and per service what it speaks to."""
    ours = {"matchLabels": {"app.kubernetes.io/name": APP}}
    deny = _policy("fangate-deny-all", ours, {"policyTypes": ["Ingress", "Egress"]})
    names = {"to": [{"namespaceSelector": {}}], "ports": [_port(53, "UDP"), _port(53)]}
    dns = _policy("fangate-dns", ours, {"policyTypes": ["Egress"], "egress": [names]})
    migrate = _policy(
        "fangate-migrate",
        {"matchLabels": labels("migrate")},
        {"policyTypes": ["Egress"], "egress": [_to_private(5432)]},
    )
    return [deny, dns, migrate, *(_allowed(service) for service in SERVICES)]


def pod_monitor() -> dict[str, Any]:
    """Every process as job `fangate` with the label `service`: what the rules ask for."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {"name": APP},
        "spec": {
            "selector": {
                "matchLabels": {"app.kubernetes.io/name": APP},
                "matchExpressions": [
                    {
                        "key": "app.kubernetes.io/component",
                        "operator": "In",
                        "values": [service.name for service in SERVICES],
                    }
                ],
            },
            "podMetricsEndpoints": [
                {
                    "port": "admin",
                    "path": "/metrics",
                    "interval": "15s",
                    "relabelings": [
                        {"targetLabel": "job", "replacement": JOB},
                        {
                            "sourceLabels": ["__meta_kubernetes_pod_label_app_kubernetes_io_component"],
                            "targetLabel": "service",
                        },
                    ],
                }
            ],
        },
    }


def wanted_secrets() -> dict[str, tuple[str, ...]]:
    """Name of each Secret -> the settings that are its keys, in lower case."""
    wanted = {name_of(service): service.secrets for service in SERVICES}
    return {**wanted, f"{APP}-migrate": migration_secrets(), "fangate-keda": ("HOST", "USERNAME", "PASSWORD")}


def example_secrets() -> list[dict[str, Any]]:
    """What a person fills in where there is no store."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "stringData": {key.lower(): "" for key in keys},
        }
        for name, keys in wanted_secrets().items()
    ]


def external_secrets() -> list[dict[str, Any]]:
    """Per service the Secret it mounts, with its own entries of the store and nobody else's."""
    return [
        {
            "apiVersion": "external-secrets.io/v1",
            "kind": "ExternalSecret",
            "metadata": {"name": name},
            "spec": {
                "refreshInterval": "1h",
                "secretStoreRef": _STORE,
                "target": {"name": name, "creationPolicy": "Owner"},
                "data": [
                    {"secretKey": key.lower(), "remoteRef": {"key": name.replace("-", "/", 1), "property": key.lower()}}
                    for key in keys
                ],
            },
        }
        for name, keys in wanted_secrets().items()
    ]


def _scaled(service: Service, scaling: OnQueue) -> dict[str, Any]:
    waited = f'sum(rate(fangate_bus_queue_wait_seconds_bucket{{queue="{scaling.queue}"}}[2m])) by (le)'
    triggers = [
        {
            "type": "rabbitmq",
            # By HTTP: AMQP counts ready messages only, and what is prefetched is work too.
            "metadata": {
                "protocol": "http",
                "vhostName": "/",
                "queueName": scaling.queue,
                "mode": "QueueLength",
                "value": str(scaling.messages),
            },
            "authenticationRef": {"name": "fangate-rabbitmq"},
        },
        {
            "type": "prometheus",
            "metadata": {
                "serverAddress": _PROMETHEUS,
                "query": f"histogram_quantile(0.95, {waited})",
                "threshold": str(scaling.wait_seconds),
                "ignoreNullValues": "true",
            },
        },
        {"type": "cpu", "metricType": "Utilization", "metadata": {"value": str(scaling.percent)}},
    ]
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": name_of(service), "labels": labels(service.name)},
        "spec": {
            "scaleTargetRef": {"name": name_of(service)},
            "minReplicaCount": scaling.least,
            "maxReplicaCount": scaling.most,
            "pollingInterval": 15,
            "fallback": {"failureThreshold": 4, "replicas": max(scaling.least, scaling.most // 2)},
            "triggers": triggers,
        },
    }


def _cpu(percent: int) -> dict[str, Any]:
    return {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}},
    }


def _allowed(service: Service) -> dict[str, Any]:
    ingress = [{"from": [_namespace("monitoring")], "ports": [_port(ADMIN_PORT)]}]
    if service.is_public:
        ingress.append({"from": [_namespace("ingress-nginx")], "ports": [_port(PUBLIC_PORT)]})
    egress = [_to_private(*ports) for secret, ports in _BACKING_PORTS.items() if secret in service.secrets]
    if service.outside_ports:
        world = [
            {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(NEVER)}},
            {"ipBlock": {"cidr": "::/0", "except": ["fc00::/7", "fe80::/10"]}},
        ]
        egress.append({"to": world, "ports": [_port(port) for port in service.outside_ports]})
    rules = {"policyTypes": ["Ingress", "Egress"], "ingress": ingress, "egress": egress}
    return _policy(name_of(service), {"matchLabels": labels(service.name)}, rules)


def _policy(name: str, selector: dict[str, Any], rules: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": selector, **rules},
    }


def _to_private(*ports: int) -> dict[str, Any]:
    return {"to": [{"ipBlock": {"cidr": network}} for network in PRIVATE], "ports": [_port(port) for port in ports]}


def _port(port: int, protocol: str = "TCP") -> dict[str, Any]:
    return {"protocol": protocol, "port": port}


def _namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
