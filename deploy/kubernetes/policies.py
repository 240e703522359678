"""What must hold of rendered manifests, beyond their schemas: they agree with the code, and they are as careful as
docs/operations.md promises. Every policy answers complaints; none means that it holds.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from deploy.kubernetes.workloads import APP, CONFIG, migration_secrets, name_of, secret_files
from deploy.monitoring.registered import BROKER, asked_for, registered
from deploy.system import ADMIN_PORT, PUBLIC_PORT, SERVICES, Fixed, Service, service
from libs.common.bus.topology import QUEUES
from libs.common.process import CLOSE_SECONDS
from libs.common.settings import KNOWN, PREFIX

Document = Mapping[str, Any]
_ROOM_TO_CLOSE_SECONDS: Final = 2 * CLOSE_SECONDS  # background tasks, then resources
_CAPABILITIES: Final = {"drop": ["ALL"]}


@dataclass(frozen=True, slots=True)
class Rendered:
    """Everything of one kustomization. `is_released`: its image is one that was published."""

    documents: tuple[Document, ...]
    is_released: bool

    def of(self, kind: str) -> list[Document]:
        return [document for document in self.documents if document["kind"] == kind]

    def find(self, kind: str, name: str) -> Document | None:
        return next((document for document in self.of(kind) if document["metadata"]["name"] == name), None)

    @property
    def pods(self) -> Iterator[tuple[str, Document]]:
        """Name of the workload, and the spec of its pods."""
        for kind in ("Deployment", "Job", "StatefulSet"):
            for document in self.of(kind):
                yield f"{kind} {document['metadata']['name']}", document["spec"]["template"]["spec"]

    @property
    def services(self) -> Iterator[tuple[Service, Document]]:
        """Our services' Deployments."""
        for each in SERVICES:
            deployment = self.find("Deployment", name_of(each))
            if deployment is not None:
                yield each, deployment

    @property
    def config(self) -> Mapping[str, str]:
        """The settings that all services get."""
        for document in self.of("ConfigMap"):
            if document["metadata"]["name"].startswith(CONFIG):
                data: Mapping[str, str] = document["data"]
                return data
        return {}


def everything_is_deployed(rendered: Rendered) -> Iterator[str]:
    """Each service runs, by its own command, and stays within its disruption budget."""
    for each in SERVICES:
        deployment = rendered.find("Deployment", name_of(each))
        if deployment is None:
            yield f"{each.name} is not deployed"
            continue
        if _main(deployment)["command"] != ["python", "-m", f"services.{each.name}"]:
            yield f"{each.name}: runs {_main(deployment)['command']}"
        budget = rendered.find("PodDisruptionBudget", name_of(each))
        selector = deployment["spec"]["selector"]["matchLabels"]
        if (
            budget is None
            or budget["spec"]["selector"]["matchLabels"] != selector
            or budget["spec"].get("maxUnavailable") != 1
        ):
            yield f"{each.name}: no disruption budget of 1 for its pods"
        if not selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items():
            yield f"{each.name}: selects other pods than it makes"
        if {entry["topologyKey"] for entry in _pod(deployment).get("topologySpreadConstraints", [])} != {
            "topology.kubernetes.io/zone", "kubernetes.io/hostname",
        }:  # fmt: skip
            yield f"{each.name}: not spread over zones and hosts"
        if deployment["spec"]["strategy"] != {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
        }:
            yield f"{each.name}: a rollout may take processes away before others are ready"


def pods_are_restricted(rendered: Rendered) -> Iterator[str]:
    """The pod security standard `restricted`, and what it does not ask for: nothing writable, no token, no links."""
    for name, pod in rendered.pods:
        context = pod.get("securityContext", {})
        if (
            not context.get("runAsNonRoot")
            or not context.get("runAsUser")
            or context.get("seccompProfile") != {"type": "RuntimeDefault"}
        ):
            yield f"{name}: not restricted: user or seccomp profile"
        if pod.get("automountServiceAccountToken") is not False:
            yield f"{name}: has a token of the cluster"
        if pod.get("enableServiceLinks") is not False:
            yield f"{name}: service links would put unknown FANGATE_ variables into its environment"
        if any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")) or any(
            "hostPath" in each for each in pod.get("volumes", [])
        ):
            yield f"{name}: shares something with its host"
        for container in (*pod["containers"], *pod.get("initContainers", [])):
            own = container.get("securityContext", {})
            if (
                own.get("allowPrivilegeEscalation") is not False
                or own.get("capabilities") != _CAPABILITIES
                or own.get("privileged")
            ):
                yield f"{name}: not restricted: privileges"
            if own.get("readOnlyRootFilesystem") is not True:
                yield f"{name}: its root is writable"


def resources_are_named(rendered: Rendered) -> Iterator[str]:
    """Requests for both, a limit for memory, none for CPU."""
    for name, pod in rendered.pods:
        for container in pod["containers"]:
            resources = container.get("resources", {})
            if set(resources.get("requests", {})) != {"cpu", "memory"} or set(resources.get("limits", {})) != {
                "memory"
            }:
                yield f"{name}: wants requests of CPU and memory, and a limit of memory only"


def probes_ask_the_admin_port(rendered: Rendered) -> Iterator[str]:
    """Liveness asks only whether the event loop turns: an outage of the database must not get processes killed."""
    for each, deployment in rendered.services:
        container = _main(deployment)
        for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
            if container.get(probe, {}).get("httpGet") != {"path": path, "port": "admin"}:
                yield f"{each.name}: {probe} does not ask {path} of the admin port"


def ports_are_those_of_the_code(rendered: Rendered) -> Iterator[str]:
    """Only the edge is reached from outside, and its admin port is not."""
    for each, deployment in rendered.services:
        wanted = {"admin": ADMIN_PORT, **({"http": PUBLIC_PORT} if each.is_public else {})}
        if {port["name"]: port["containerPort"] for port in _main(deployment).get("ports", [])} != wanted:
            yield f"{each.name}: its ports are not {wanted}"
    ours = {APP}
    for document in rendered.of("Service"):
        selector = document["spec"]["selector"]
        if selector.get("app.kubernetes.io/name") not in ours:
            continue
        targets = {port["targetPort"] for port in document["spec"]["ports"]}
        if targets != {"http"} or not service(selector["app.kubernetes.io/component"]).is_public:
            yield f"Service {document['metadata']['name']}: leads to {targets}"


def settings_are_known(rendered: Rendered) -> Iterator[str]:
    """Every variable is a setting of the process that gets it, and none that it needs is missing."""
    for name in rendered.config:
        if not name.startswith(PREFIX) or name.removeprefix(PREFIX) not in KNOWN:
            yield f"{CONFIG}: {name} is no setting"
        elif not any(name.removeprefix(PREFIX) in each.fields for each in SERVICES):
            yield f"{CONFIG}: no service reads {name}"
    for each, deployment in rendered.services:
        given = {entry["name"] for entry in _main(deployment).get("env", [])}
        fields = {name.removeprefix(PREFIX).removesuffix("_FILE") for name in given}
        for unknown in sorted(fields - each.fields):
            yield f"{each.name}: does not read {PREFIX}{unknown}"
        known = fields | {name.removeprefix(PREFIX) for name in rendered.config}
        required = {field.name.upper() for field in msgspec.structs.fields(each.struct) if field.required}
        for missing in sorted(required - known):
            yield f"{each.name}: {PREFIX}{missing} is not set"
        if not any("configMapRef" in source for source in _main(deployment).get("envFrom", [])):
            yield f"{each.name}: does not get {CONFIG}"


def secrets_are_files(rendered: Rendered) -> Iterator[str]:
    """Each process mounts its own secrets and nobody else's; none is in an environment or in a manifest."""
    wanted = {name_of(each): secret_files(each.secrets) for each in SERVICES} | {
        f"{APP}-migrate": secret_files(migration_secrets())
    }
    secret_names = {secret for each in SERVICES for secret in each.secrets}
    for name, pod in rendered.pods:
        container = pod["containers"][0]
        env = {entry["name"]: entry.get("value", "") for entry in container.get("env", [])}
        if "valueFrom" in str(container.get("env", [])) or any(
            "secretRef" in source for source in container.get("envFrom", [])
        ):
            yield f"{name}: a secret in the environment"
        if {key.removeprefix(PREFIX) for key in env} & secret_names:
            yield f"{name}: a secret's value in the manifest"
        mounted = {volume["secret"]["secretName"] for volume in pod.get("volumes", []) if "secret" in volume}
        for secret in mounted:
            files = {key: path for key, path in env.items() if key.endswith("_FILE")}
            if files != wanted.get(secret):
                yield f"{name}: reads {sorted(files)}, Secret {secret} is for {sorted(wanted.get(secret, {}))}"
    for document in rendered.of("Secret"):
        if document.get("data") or document.get("stringData"):
            yield f"Secret {document['metadata']['name']}: has data"
    for document in rendered.of("ExternalSecret"):
        secret, keys = document["spec"]["target"]["name"], {entry["secretKey"] for entry in document["spec"]["data"]}
        expected = {path.rpartition("/")[2] for path in wanted.get(secret, {}).values()}
        if expected and keys != expected:
            yield f"ExternalSecret {secret}: has {sorted(keys)}, read are {sorted(expected)}"


def drains_end_before_the_kill(rendered: Rendered) -> Iterator[str]:
    """SIGKILL comes after the pause before SIGTERM, the drain and the closing."""
    drain = float(rendered.config.get("FANGATE_DRAIN_SECONDS", 0)) or None
    for each, deployment in rendered.services:
        pause = _main(deployment).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        if not pause:
            yield f"{each.name}: no pause before SIGTERM: its endpoint is still known while it drains"
        needed = pause + (drain or _default_drain(each)) + _ROOM_TO_CLOSE_SECONDS
        if _pod(deployment).get("terminationGracePeriodSeconds", 30) < needed:
            yield f"{each.name}: is killed before {needed:.0f} s, in the middle of its drain"


def scalers_fit(rendered: Rendered) -> Iterator[str]:
    """What scales exists, has one scaler and no fixed number, watches queues and metrics that there are; billing stays."""
    known = registered() | BROKER
    targets: list[str] = []
    for document in (*rendered.of("HorizontalPodAutoscaler"), *rendered.of("ScaledObject")):
        spec, name = document["spec"], document["metadata"]["name"]
        target = spec["scaleTargetRef"]["name"]
        targets.append(target)
        deployment = rendered.find("Deployment", target)
        if deployment is None:
            yield f"{document['kind']} {name}: there is no Deployment {target}"
        elif "replicas" in deployment["spec"]:
            yield f"{target}: every apply would set its scaler's number back"
        for trigger in spec.get("triggers", []):
            queue = trigger["metadata"].get("queueName")
            owner = next((each for each in QUEUES if each.name == queue), None)
            if trigger["type"] == "rabbitmq" and (owner is None or f"{APP}-{owner.name.partition('.')[0]}" != target):
                yield f"{name}: no queue {queue} of {target}"
            for metric in sorted(asked_for(trigger["metadata"].get("query", "")) - known):
                yield f"{name}: nobody registers {metric}"
    for target in sorted({target for target in targets if targets.count(target) > 1}):
        yield f"{target}: two scalers"
    for each in SERVICES:
        if isinstance(each.scaling, Fixed) and name_of(each) in targets:
            yield f"{each.name}: has single active consumers, more processes would only wait"


def rules_name_metrics_that_there_are(rendered: Rendered) -> Iterator[str]:
    """As for the rules of `deploy/monitoring`: nothing is asked for that nobody registers."""
    known = registered() | BROKER
    for document in rendered.of("PrometheusRule"):
        for rule in (rule for group in document["spec"]["groups"] for rule in group["rules"]):
            for metric in sorted(asked_for(rule["expr"]) - known):
                yield f"{rule.get('alert') or rule['record']}: nobody registers {metric}"


def networks_are_closed(rendered: Rendered) -> Iterator[str]:
    """Where there are network policies: all is denied first, and a service may leave the cluster only if it must, and
    then not to private addresses.
    """
    policies = {document["metadata"]["name"]: document["spec"] for document in rendered.of("NetworkPolicy")}
    if not policies:
        return
    deny = policies.get(f"{APP}-deny-all", {})
    if set(deny.get("policyTypes", [])) != {"Ingress", "Egress"} or deny.get("ingress") or deny.get("egress"):
        yield "what is not allowed is not denied"
    for each in SERVICES:
        spec = policies.get(name_of(each))
        if spec is None:
            yield f"{each.name}: no network policy"
            continue
        world = [(to["ipBlock"], rule) for rule in spec["egress"] for to in rule.get("to", []) if _is_world(to)]
        ports = {str(port["port"]) for _, rule in world for port in rule.get("ports", [{"port": "any"}])}
        if ports != {str(port) for port in each.outside_ports}:
            yield f"{each.name}: may leave the cluster on ports {sorted(ports)}, needs {list(each.outside_ports)}"
        for block, _ in world:
            if block["cidr"] == "0.0.0.0/0" and not {"10.0.0.0/8", "169.254.0.0/16"} <= set(block.get("except", [])):
                yield f"{each.name}: may reach private addresses as if they were the world's"
        if any(not rule.get("to") for rule in spec["egress"]):
            yield f"{each.name}: may speak to anybody"


def releases_are_pinned(rendered: Rendered) -> Iterator[str]:
    """By digest where it is released; and the Job that migrates is named after its release."""
    for name, pod in rendered.pods:
        for container in pod["containers"]:
            if rendered.is_released and "@sha256:" not in container["image"]:
                yield f"{name}: image {container['image']} may become another"
    jobs = [document["metadata"]["name"] for document in rendered.of("Job")]
    if len(jobs) != 1 or not jobs[0].startswith(f"{APP}-migrate-"):
        yield f"no Job migrates under a name of its release: {jobs}"


def namespaces_enforce(rendered: Rendered) -> Iterator[str]:
    """The cluster refuses what is not restricted, whoever brings it."""
    for document in rendered.of("Namespace"):
        if document["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"Namespace {document['metadata']['name']}: does not enforce pod security"


def callers_come_by_tls(rendered: Rendered) -> Iterator[str]:
    """Every host of an Ingress has a certificate, plain HTTP is sent away, and the edge refuses what came by it all the same."""
    for ingress in rendered.of("Ingress"):
        name = ingress["metadata"]["name"]
        certified = {
            host for each in ingress["spec"].get("tls", []) for host in each["hosts"] if each.get("secretName")
        }
        for host in {rule.get("host", "") for rule in ingress["spec"]["rules"]} - certified:
            yield f"Ingress {name}: {host or 'any host'} has no certificate"
        if ingress["metadata"].get("annotations", {}).get("nginx.ingress.kubernetes.io/force-ssl-redirect") != "true":
            yield f"Ingress {name}: plain HTTP is let in"
        if rendered.config.get("FANGATE_REQUIRE_HTTPS") != "true":
            yield f"Ingress {name}: the edge is not told to refuse plain HTTP"


POLICIES: Final[tuple[Callable[[Rendered], Iterator[str]], ...]] = (
    everything_is_deployed, pods_are_restricted, resources_are_named, probes_ask_the_admin_port, ports_are_those_of_the_code,
    settings_are_known, secrets_are_files, drains_end_before_the_kill, scalers_fit, rules_name_metrics_that_there_are,
    networks_are_closed, releases_are_pinned, namespaces_enforce, callers_come_by_tls,
)  # fmt: skip


def complaints(rendered: Rendered) -> list[str]:
    """Of all policies."""
    return [f"{policy.__name__}: {complaint}" for policy in POLICIES for complaint in policy(rendered)]


def _is_world(to: Document) -> bool:
    return to.get("ipBlock", {}).get("cidr") in {"0.0.0.0/0", "::/0"}


def _pod(deployment: Document) -> Document:
    pod: Document = deployment["spec"]["template"]["spec"]
    return pod


def _main(deployment: Document) -> Document:
    container: Document = _pod(deployment)["containers"][0]
    return container


def _default_drain(each: Service) -> float:
    return float(next(field.default for field in msgspec.structs.fields(each.struct) if field.name == "drain_seconds"))
