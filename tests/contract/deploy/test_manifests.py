"""The Kubernetes manifests follow from the data, are what Kubernetes and the operators accept, and agree with the code; and
each of these checks finds a mistake that is planted for it.
"""

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.documents import ROOT, from_yaml
from deploy.kubernetes import manifests, policies, resources
from deploy.kubernetes.check import KUSTOMIZATIONS, custom_complaints, render, schema_complaints
from deploy.kubernetes.definitions import KEDA, with_logins
from deploy.kubernetes.policies import Rendered
from deploy.kubernetes.workloads import name_of
from deploy.system import SERVICES, service
from libs.common.bus.topology import USERS

Program = Callable[[str, str], Path]
Document = dict[str, Any]
EVERYTHING = "tests/all-components"


@pytest.fixture
def rendered(program: Program) -> Callable[[str], Rendered]:
    program("kubectl", "kubectl")
    return render


def test_what_is_committed_is_what_the_data_say() -> None:
    stale = [
        str(path.relative_to(ROOT))
        for path, text in manifests.files().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    assert stale == []
    assert {path.name for path in (manifests.FOLDER / "base").glob("*.yaml")} == {
        "kustomization.yaml",
        *(f"{each.name}.yaml" for each in SERVICES),
    }


def test_every_component_is_built_with_all_others() -> None:
    text = (manifests.FOLDER / EVERYTHING / "kustomization.yaml").read_text(encoding="utf-8")
    components = {path.name for path in (manifests.FOLDER / "components").iterdir() if path.is_dir()}
    assert {name for name in components if f"components/{name}\n" not in text} == set()


@pytest.mark.parametrize("kustomization", KUSTOMIZATIONS)
def test_a_kustomization_has_nothing_to_complain_about(rendered: Callable[[str], Rendered], kustomization: str) -> None:
    assert custom_complaints(rendered(kustomization)) == []
    assert policies.complaints(rendered(kustomization)) == []


def test_kubernetes_accepts_everything(rendered: Callable[[str], Rendered], program: Program) -> None:
    assert schema_complaints(rendered(EVERYTHING), program("python", "kubernetes-validate")) == []


def test_every_custom_resource_that_is_written_is_known(rendered: Callable[[str], Rendered]) -> None:
    documents = rendered(EVERYTHING).documents
    written = {(each["apiVersion"], each["kind"]) for each in documents if "." in each["apiVersion"].partition("/")[0]}
    theirs = {pair for pair in written if not pair[0].partition("/")[0].endswith(".k8s.io")}
    assert theirs == set(resources.CUSTOM)


# -- planted mistakes: what is changed, and what the complaint must say


def pod(document: Document) -> Document:
    found: Document = document["spec"]["template"]["spec"]
    return found


def container(document: Document) -> Document:
    found: Document = pod(document)["containers"][0]
    return found


def set_env(document: Document, name: str, value: str) -> None:
    container(document)["env"].append({"name": name, "value": value})


def without_env(document: Document, name: str) -> None:
    container(document)["env"] = [entry for entry in container(document)["env"] if entry["name"] != name]


def trigger(document: Document, kind: str) -> Document:
    found: Document = next(each for each in document["spec"]["triggers"] if each["type"] == kind)["metadata"]
    return found


Change = Callable[[Document], Any]
PLANTED: dict[str, tuple[str, str, Change, str]] = {
    "a misspelt setting": ("Deployment", "fangate-edge", lambda d: set_env(d, "FANGATE_BASE_URI", "x"), "does not read FANGATE_BASE_URI"),
    "a setting of another service": ("Deployment", "fangate-auth", lambda d: set_env(d, "FANGATE_VAULT_KEYS_FILE", "x"), "does not read FANGATE_VAULT_KEYS"),
    "a setting that is missing": ("Deployment", "fangate-billing", lambda d: without_env(d, "FANGATE_AMQP_URL_FILE"), "FANGATE_AMQP_URL is not set"),
    "an unknown common setting": ("ConfigMap", "fangate-config", lambda d: d["data"].update(FANGATE_DRAIN="9"), "FANGATE_DRAIN is no setting"),
    "a queue that there is not": ("ScaledObject", "fangate-sessions", lambda d: trigger(d, "rabbitmq").update(queueName="sessions.job"), "no queue sessions.job"),
    "a queue of another service": ("ScaledObject", "fangate-sessions", lambda d: trigger(d, "rabbitmq").update(queueName="billing.jobs"), "no queue billing.jobs"),
    "a metric that nobody registers": ("ScaledObject", "fangate-sessions", lambda d: trigger(d, "prometheus").update(query="fangate_planted"), "nobody registers fangate_planted"),
    "a rule on such a metric": ("PrometheusRule", "fangate", lambda d: d["spec"]["groups"][0]["rules"][0].update(expr="fangate_planted > 0"), "nobody registers fangate_planted"),
    "a wrong port": ("Deployment", "fangate-sessions", lambda d: container(d)["ports"][0].update(containerPort=9091), "its ports are not"),
    "the admin port in the public Service": ("Service", "fangate-edge", lambda d: d["spec"]["ports"][0].update(targetPort="admin"), "leads to"),
    "a kill in the middle of the drain": ("Deployment", "fangate-edge", lambda d: pod(d).update(terminationGracePeriodSeconds=30), "is killed before 40 s"),
    "no pause before SIGTERM": ("Deployment", "fangate-edge", lambda d: container(d).pop("lifecycle"), "no pause before SIGTERM"),
    "a privileged pod": ("Deployment", "fangate-auth", lambda d: container(d)["securityContext"].pop("capabilities"), "not restricted: privileges"),
    "a writable root": ("Deployment", "fangate-auth", lambda d: container(d)["securityContext"].update(readOnlyRootFilesystem=False), "its root is writable"),
    "root as user": ("Job", "fangate-migrate-test", lambda d: pod(d)["securityContext"].update(runAsNonRoot=False), "not restricted: user"),
    "service links": ("Deployment", "fangate-edge", lambda d: pod(d).pop("enableServiceLinks"), "service links"),
    "liveness that asks the database": ("Deployment", "fangate-billing", lambda d: container(d)["livenessProbe"]["httpGet"].update(path="/readyz"), "livenessProbe does not ask"),
    "no memory limit": ("Deployment", "fangate-billing", lambda d: container(d)["resources"].pop("limits"), "a limit of memory"),
    "a budget for other pods": ("PodDisruptionBudget", "fangate-edge", lambda d: d["spec"]["selector"]["matchLabels"].pop("app.kubernetes.io/component"), "no disruption budget"),
    "a secret's value in the environment": ("Deployment", "fangate-edge", lambda d: set_env(d, "FANGATE_AMQP_URL", "amqp://edge:x@y"), "a secret's value"),
    "another service's secrets": ("Deployment", "fangate-edge", lambda d: pod(d)["volumes"][1]["secret"].update(secretName="fangate-billing"), "Secret fangate-billing is for"),
    "a store entry for nobody": ("ExternalSecret", "fangate-auth", lambda d: d["spec"]["data"][0].update(secretKey="vault_keys"), "read are"),
    "a scaler of what must not scale": ("HorizontalPodAutoscaler", "fangate-auth", lambda d: d["spec"]["scaleTargetRef"].update(name="fangate-billing"), "more processes would only wait"),
    "two scalers of one Deployment": ("HorizontalPodAutoscaler", "fangate-auth", lambda d: d["spec"]["scaleTargetRef"].update(name="fangate-sessions"), "two scalers"),
    "a way out for the edge": ("NetworkPolicy", "fangate-edge", lambda d: d["spec"]["egress"].append({"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}), "may leave the cluster"),
    "mail from where no mail is sent": ("NetworkPolicy", "fangate-auth", lambda d: d["spec"]["egress"][-1]["ports"].append({"protocol": "TCP", "port": 25}), "on ports ['25', '443']"),
    "a way to private addresses": ("NetworkPolicy", "fangate-sessions", lambda d: d["spec"]["egress"][-1]["to"][0]["ipBlock"].pop("except"), "private addresses"),
    "no denial": ("NetworkPolicy", "fangate-deny-all", lambda d: d["spec"].update(policyTypes=["Ingress"]), "is not denied"),
    "a Job without its release": ("Job", "fangate-migrate-test", lambda d: d["metadata"].update(name="fangate-migrate"), "under a name of its release"),
    "a host without a certificate": ("Ingress", "fangate-edge", lambda d: d["spec"]["rules"][0].update(host="other.example"), "has no certificate"),
    "plain HTTP let in": ("Ingress", "fangate-edge", lambda d: d["metadata"]["annotations"].pop("nginx.ingress.kubernetes.io/force-ssl-redirect"), "plain HTTP is let in"),
    "an edge that takes plain HTTP": ("ConfigMap", "fangate-config", lambda d: d["data"].update(FANGATE_REQUIRE_HTTPS="false"), "not told to refuse plain HTTP"),
    "pods crowded on one node": ("Deployment", "fangate-edge", lambda d: pod(d).pop("topologySpreadConstraints"), "not spread"),
}  # fmt: skip


def planted(whole: Rendered, kind: str, name: str, change: Change) -> Rendered:
    """The same with one document changed."""
    documents = tuple(copy.deepcopy(dict(each)) for each in whole.documents)
    # Only a ConfigMap has more in its name than it was given.
    found = [each for each in documents if each["kind"] == kind and each["metadata"]["name"].startswith(name)]
    document = found[0] if kind == "ConfigMap" else next(each for each in found if each["metadata"]["name"] == name)
    change(document)
    return Rendered(documents, is_released=whole.is_released)


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_found(rendered: Callable[[str], Rendered], mistake: str) -> None:
    kind, name, change, complaint = PLANTED[mistake]
    said = policies.complaints(planted(rendered(EVERYTHING), kind, name, change))
    assert [line for line in said if complaint in line], said


def test_R162_callers_come_by_tls_12_or_13_only(rendered: Callable[[str], Rendered]) -> None:
    assert list(policies.callers_come_by_tls(rendered(EVERYTHING))) == []
    # The floor of the protocol is the controller's: one setting for all of its hosts, written down as it should be.
    example = (ROOT / "deploy/kubernetes/components/ingress/controller.example.yaml").read_text(encoding="utf-8")
    (document,) = from_yaml(example)
    assert document["data"]["ssl-protocols"].split() == ["TLSv1.2", "TLSv1.3"]
    assert not re.search(r"RC4|3DES|MD5|NULL|CBC|SHA1\b", document["data"]["ssl-ciphers"])
    assert document["data"]["hsts"] == "true"


def test_an_image_by_tag_is_found_where_it_is_released(rendered: Callable[[str], Rendered]) -> None:
    whole = rendered("overlays/production")
    mistaken = planted(
        whole, "Deployment", "fangate-edge", lambda d: container(d).update(image="registry.example/fangate:latest")
    )
    assert any("may become another" in line for line in policies.complaints(mistaken))


def test_a_namespace_that_lets_everything_in_is_found(rendered: Callable[[str], Rendered]) -> None:
    mistaken = planted(
        rendered("overlays/production"), "Namespace", "fangate-production", lambda d: d["metadata"].pop("labels")
    )
    assert any("does not enforce" in line for line in policies.complaints(mistaken))


def test_a_secret_with_data_is_found(rendered: Callable[[str], Rendered]) -> None:
    whole = rendered("overlays/production")
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "planted"}, "data": {"a": "Yg=="}}
    assert any(
        "has data" in line for line in policies.complaints(Rendered((*whole.documents, secret), is_released=True))
    )


CUSTOM_MISTAKES: dict[str, tuple[str, str, Change]] = {
    "a misspelt field": ("ScaledObject", "fangate-sessions", lambda d: d["spec"].update(maxReplicas=3)),
    "a number as text": ("ScaledObject", "fangate-sessions", lambda d: d["spec"].update(minReplicaCount="2")),
    "a trigger that there is not": ("ScaledObject", "fangate-sessions", lambda d: d["spec"]["triggers"][0].update(type="rabbit")),
    "a duration without unit": ("PodMonitor", "fangate", lambda d: d["spec"]["podMetricsEndpoints"][0].update(interval="15")),
    "a rule without expression": ("PrometheusRule", "fangate", lambda d: d["spec"]["groups"][0]["rules"][0].pop("expr")),
    "a store of no kind": ("ExternalSecret", "fangate-edge", lambda d: d["spec"]["secretStoreRef"].update(kind="Vault")),
    "no node at all": ("RabbitmqCluster", "fangate-rabbitmq", lambda d: d["spec"].update(replicas=0)),
    "a schedule without seconds": ("ScheduledBackup", "fangate-postgres", lambda d: d["spec"].update(schedule="0 3 * * *")),
    "an unknown part of the cluster": ("Cluster", "fangate-postgres", lambda d: d["spec"]["backup"].update(barman={})),
}  # fmt: skip


@pytest.mark.parametrize("mistake", CUSTOM_MISTAKES)
def test_what_an_operator_would_refuse_is_found(rendered: Callable[[str], Rendered], mistake: str) -> None:
    kind, name, change = CUSTOM_MISTAKES[mistake]
    assert custom_complaints(planted(rendered(EVERYTHING), kind, name, change))


def test_what_kubernetes_would_refuse_is_found(rendered: Callable[[str], Rendered], program: Program) -> None:
    mistaken = planted(rendered("tests/minimal"), "Deployment", "fangate-edge", lambda d: pod(d).update(gracePeriod=45))
    said = schema_complaints(mistaken, program("python", "kubernetes-validate"))
    assert len(said) == 3
    assert all("gracePeriod" in line for line in said)


# -- the pieces


def test_secrets_are_the_settings_that_the_code_calls_secret() -> None:
    assert service("sessions").secrets == (
        "POSTGRES_DSN",
        "AMQP_URL",
        "VAULT_KEYS",
        "FORM_KEYS",
        "FANVUE_CLIENT_SECRET",
    )
    assert "REDIS_URL" in service("edge").secrets
    assert name_of(service("edge")) == "fangate-edge"


def test_the_brokers_definitions_hold_every_login_and_no_password() -> None:
    passwords = {name: f"planted-{name}" for name in (*USERS, KEDA)}
    document = with_logins(passwords)
    assert {user["name"] for user in document["users"]} == set(passwords)
    assert "planted" not in json.dumps(document)
    assert next(each for each in document["permissions"] if each["user"] == KEDA)["read"] == "^$"


def test_definitions_want_every_password() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.kubernetes.definitions"],
        input='{"edge": "x"}',
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert "keda" in done.stderr
