"""The custom resources we write, as strictly as their operators read them: an unknown field is a mistake.

Only the fields that we use are here. A field that is added to a manifest is added here from the operator's own reference
(KEDA 2.17, prometheus-operator 0.82, external-secrets 0.17, RabbitMQ cluster operator 2.14, CloudNativePG 1.26).
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

Positive = Annotated[int, Meta(ge=1)]
Duration = Annotated[str, Meta(pattern=r"^\d+(ms|s|m|h|d)$")]
Quantity = Annotated[str, Meta(pattern=r"^\d+(m|Mi|Gi|Ti)?$")]


class _Strict(Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    pass


class _SecretParameter(_Strict):
    parameter: str
    name: str
    key: str


class TriggerAuthentication(_Strict):
    """keda.sh/v1alpha1"""

    secret_target_ref: list[_SecretParameter]


class _Reference(_Strict):
    name: str


class _RabbitmqTrigger(_Strict, tag_field="type", tag="rabbitmq"):
    metadata: "_RabbitmqMetadata"
    authentication_ref: _Reference


class _RabbitmqMetadata(_Strict):
    protocol: Literal["http", "amqp", "auto"]
    queue_name: str
    mode: Literal["QueueLength", "MessageRate"]
    value: Annotated[str, Meta(pattern=r"^\d+$")]
    vhost_name: str


class _PrometheusTrigger(_Strict, tag_field="type", tag="prometheus"):
    metadata: "_PrometheusMetadata"


class _PrometheusMetadata(_Strict):
    server_address: str
    query: str
    threshold: Annotated[str, Meta(pattern=r"^\d+(\.\d+)?$")]
    ignore_null_values: Literal["true", "false"]


class _CpuTrigger(_Strict, tag_field="type", tag="cpu"):
    metric_type: Literal["Utilization", "AverageValue"]
    metadata: "_CpuMetadata"


class _CpuMetadata(_Strict):
    value: Annotated[str, Meta(pattern=r"^\d+$")]


class _Fallback(_Strict):
    failure_threshold: Positive
    replicas: Positive


class ScaledObject(_Strict):
    """keda.sh/v1alpha1"""

    scale_target_ref: _Reference
    min_replica_count: Positive
    max_replica_count: Positive
    polling_interval: Positive
    fallback: _Fallback
    triggers: list[_RabbitmqTrigger | _PrometheusTrigger | _CpuTrigger]


class _Expression(_Strict):
    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[str] = []


class _Selector(_Strict):
    match_labels: dict[str, str]
    match_expressions: list[_Expression] = []


class _Relabeling(_Strict):
    target_label: str
    replacement: str | None = None
    source_labels: list[str] = []


class _Endpoint(_Strict):
    port: str
    path: str
    interval: Duration
    params: dict[str, list[str]] = {}
    relabelings: list[_Relabeling] = []


class PodMonitor(_Strict):
    """monitoring.coreos.com/v1"""

    selector: _Selector
    pod_metrics_endpoints: list[_Endpoint]


class _Rule(_Strict):
    expr: str
    alert: str | None = None
    record: str | None = None
    for_: Duration | None = msgspec.field(name="for", default=None)
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class _Group(_Strict):
    name: str
    rules: list[_Rule]


class PrometheusRule(_Strict):
    """monitoring.coreos.com/v1"""

    groups: list[_Group]


class _Store(_Strict):
    kind: Literal["SecretStore", "ClusterSecretStore"]
    name: str


class _Target(_Strict):
    name: str
    creation_policy: Literal["Owner", "Orphan", "Merge", "None"]


class _Remote(_Strict):
    key: str
    property: str


class _Entry(_Strict):
    secret_key: str
    remote_ref: _Remote


class ExternalSecret(_Strict):
    """external-secrets.io/v1"""

    refresh_interval: Duration
    secret_store_ref: _Store
    target: _Target
    data: list[_Entry]


class _Storage(_Strict):
    storage: Quantity


class _Resources(_Strict):
    requests: dict[str, Quantity]
    limits: dict[str, Quantity]


class _RabbitmqSettings(_Strict):
    additional_plugins: list[str]
    additional_config: str


class RabbitmqCluster(_Strict):
    """rabbitmq.com/v1beta1. `affinity` and `override` are Kubernetes' own, taken as they are."""

    replicas: Positive
    image: str
    persistence: _Storage
    resources: _Resources
    rabbitmq: _RabbitmqSettings
    affinity: dict[str, Any]
    override: dict[str, Any]


class _Size(_Strict):
    size: Quantity


class _Synchronous(_Strict):
    method: Literal["any", "first"]
    number: Positive


class _Postgresql(_Strict):
    synchronous: _Synchronous
    parameters: dict[str, str]


class _Initdb(_Strict):
    database: str
    owner: str
    encoding: str
    post_init_sql: list[str] = msgspec.field(name="postInitSQL")


class _Bootstrap(_Strict):
    initdb: _Initdb


class _Affinity(_Strict):
    enable_pod_anti_affinity: bool
    topology_key: str
    pod_anti_affinity_type: Literal["preferred", "required"]


class _Monitoring(_Strict):
    enable_pod_monitor: bool


class _Key(_Strict):
    name: str
    key: str


class _S3(_Strict, rename="camel"):
    access_key_id: _Key
    secret_access_key: _Key


class _Wal(_Strict):
    compression: Literal["gzip", "bzip2", "snappy", "lz4", "xz", "zstd"]


class _ObjectStore(_Strict):
    destination_path: str
    s3_credentials: _S3
    wal: _Wal


class _Backup(_Strict):
    retention_policy: Annotated[str, Meta(pattern=r"^[1-9]\d*[dwm]$")]
    barman_object_store: _ObjectStore


class Cluster(_Strict):
    """postgresql.cnpg.io/v1"""

    instances: Positive
    image_name: str
    storage: _Size
    wal_storage: _Size
    resources: _Resources
    postgresql: _Postgresql
    bootstrap: _Bootstrap
    affinity: _Affinity
    monitoring: _Monitoring
    backup: _Backup


class ScheduledBackup(_Strict):
    """postgresql.cnpg.io/v1"""

    schedule: Annotated[str, Meta(pattern=r"^(\S+ ){5}\S+$")]  # six fields: it begins with seconds
    backup_owner_reference: Literal["none", "self", "cluster"]
    cluster: _Reference


CUSTOM: Final[Mapping[tuple[str, str], type[Struct]]] = {
    ("keda.sh/v1alpha1", "ScaledObject"): ScaledObject,
    ("keda.sh/v1alpha1", "TriggerAuthentication"): TriggerAuthentication,
    ("monitoring.coreos.com/v1", "PodMonitor"): PodMonitor,
    ("monitoring.coreos.com/v1", "PrometheusRule"): PrometheusRule,
    ("external-secrets.io/v1", "ExternalSecret"): ExternalSecret,
    ("rabbitmq.com/v1beta1", "RabbitmqCluster"): RabbitmqCluster,
    ("postgresql.cnpg.io/v1", "Cluster"): Cluster,
    ("postgresql.cnpg.io/v1", "ScheduledBackup"): ScheduledBackup,
}


def is_custom(document: Mapping[str, Any]) -> bool:
    """Whether an operator reads it, not Kubernetes."""
    return (document["apiVersion"], document["kind"]) in CUSTOM


def complaints(document: Mapping[str, Any]) -> list[str]:
    """What its operator would refuse: the first mistake, or nothing."""
    kind, name = document["kind"], document["metadata"]["name"]
    try:
        msgspec.convert(document["spec"], CUSTOM[document["apiVersion"], kind])
    except msgspec.ValidationError as exc:
        return [f"{kind} {name}: {exc}"]
    unknown = set(document) - {"apiVersion", "kind", "metadata", "spec"}
    return [f"{kind} {name}: unknown {', '.join(sorted(unknown))}"] if unknown else []
