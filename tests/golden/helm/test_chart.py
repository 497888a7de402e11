"""The chart: its copies are fresh, its values are checked, and a recommend-only install can write to no workload."""

from __future__ import annotations

import functools
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev import chart
from dev.cluster.paths import REPOSITORY
from dev.images import recipes
from pegbox.runtime.settings import Settings, parse
from tests.levels import cannot_run

CHART = REPOSITORY / chart.CHART
Document = dict[str, Any]

EVERYTHING: tuple[str, ...] = (
    "mode.allowWrites=true", "watchNamespaces={shop,billing}", "replicas=2", "operator.nudgePods=true",
    "metrics.serviceMonitor.enabled=true", "metrics.serviceMonitor.labels.release=prom",
    "metrics.prometheusRule.enabled=true", "metrics.prometheusRule.labels.release=prom",
    "podDisruptionBudget.enabled=true", "networkPolicy.enabled=true", "priorityClassName=high",
    "nodeSelector.disk=ssd", "podLabels.team=a", "podAnnotations.note=b", "imagePullSecrets[0].name=pull",
    "extraVolumes[0].name=token", "extraVolumes[0].secret.secretName=prometheus",
    "extraVolumeMounts[0].name=token", "extraVolumeMounts[0].mountPath=/var/run/prometheus",
    "networkPolicy.ingressFrom[0].namespaceSelector.matchLabels.name=monitoring",
    "serviceAccount.annotations.role=x", "tolerations[0].operator=Exists",
    "topologySpreadConstraints[0].maxSkew=1", "affinity.nodeAffinity.x=y", "podEnvironment.enabled=true",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _helm() -> None:
    """Without helm nothing here can be judged: said loudly, and never let through where all is required."""
    try:
        chart.helm()
    except chart.HelmMissing as missing:
        cannot_run(f"THE CHART IS NOT TESTED: {missing}")


def _render(*settings: str) -> list[Document]:
    return list(filter(None, yaml.load_all(_text(settings), yaml.CSafeLoader)))


@functools.cache
def _text(settings: tuple[str, ...]) -> str:
    return chart.template(*(part for setting in settings for part in ("--set", setting)))


def _one(documents: list[Document], kind: str) -> Document:
    (found,) = [document for document in documents if document["kind"] == kind]
    return found


def _config(*settings: str) -> Document:
    documents = _render(*settings)
    loaded: Document = yaml.safe_load(_one(documents, "ConfigMap")["data"]["operator.yaml"])
    return loaded


class TestWhatIsGenerated:
    def test_the_chart_holds_fresh_copies_of_crds_and_classes(self) -> None:
        assert chart.stale_copies() == [], "run `python3 -m dev.chart install`"

    @pytest.mark.parametrize(
        "path", ["manifests/install.yaml", "manifests/allow-writes.yaml", "tests/golden/helm/default.yaml"]
    )
    def test_is_what_the_chart_renders_now(self, path: str) -> None:
        assert (REPOSITORY / path).read_text() == chart.install_files()[path], "run `python3 -m dev.chart install`"

    def test_sync_copies_what_is_new_or_changed_and_removes_what_is_gone(self, tmp_path: Path) -> None:
        copies = tmp_path / "helm/pegbox/files/crds"
        copies.mkdir(parents=True)
        (tmp_path / "crds").mkdir()
        (tmp_path / "crds/new.yaml").write_text("new")
        (copies / "gone.yaml").write_text("gone")
        assert chart.sync(tmp_path) == ["helm/pegbox/files/crds/gone.yaml", "helm/pegbox/files/crds/new.yaml"]
        assert [path.name for path in copies.iterdir()] == ["new.yaml"]
        assert chart.stale_copies(tmp_path) == []

    def test_the_install_for_kubectl_holds_all_five_crds_and_no_hook(self) -> None:
        documents = [d for d in yaml.safe_load_all((REPOSITORY / "manifests/install.yaml").read_text()) if d]
        crds = {d["spec"]["names"]["kind"] for d in documents if d["kind"] == "CustomResourceDefinition"}
        assert crds == {"PerformanceProfile", "PerformanceClass", "SharedBudget", "TuningLedger", "PodEnvironment"}
        assert not [d for d in documents if "helm.sh/hook" in d["metadata"].get("annotations", {})]


class TestRendering:
    def test_passes_helms_own_strict_check(self) -> None:
        done = subprocess.run(
            [str(chart.helm()), "lint", "--strict", str(CHART)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def test_works_with_every_option_on(self) -> None:
        kinds = {document["kind"] for document in _render(*EVERYTHING)}
        assert {"ServiceMonitor", "PodDisruptionBudget", "NetworkPolicy", "Deployment"} <= kinds

    def test_works_with_every_option_off(self) -> None:
        off = (
            "crds.install=false", "classes.install=false", "serviceAccount.create=false", "serviceAccount.name=mine",
            "rbac.create=false", "admissionGuard.enabled=false", "metrics.scrapeAnnotations=false",
            "operator.leaderElection.enabled=false",
        )  # fmt: skip
        documents = _render(*off)
        assert {document["kind"] for document in documents} == {"ConfigMap", "Service", "Deployment"}
        assert _one(documents, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "mine"

    @pytest.mark.parametrize(
        ("crd", "source"),
        [
            pytest.param(name, source, id=source.stem)
            for source in sorted((REPOSITORY / "crds").glob("*.yaml"))
            for name in [yaml.safe_load(source.read_text())["metadata"]["name"]]
        ],
    )
    def test_gives_every_crd_unchanged_but_for_marks_and_keeps_it(self, crd: str, source: Path) -> None:
        rendered = next(d for d in _render() if d["metadata"]["name"] == crd)
        wanted = yaml.safe_load(source.read_text())
        assert rendered["spec"] == wanted["spec"]
        assert rendered["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        assert wanted["metadata"].get("annotations", {}).items() <= rendered["metadata"]["annotations"].items()

    def test_lets_crds_go_with_the_release_when_told_so(self) -> None:
        crds = [d for d in _render("crds.keep=false") if d["kind"] == "CustomResourceDefinition"]
        assert len(crds) == 5
        assert not [d for d in crds if "helm.sh/resource-policy" in d["metadata"].get("annotations", {})]

    def test_gives_every_shipped_class_unchanged(self) -> None:
        sources = [
            yaml.safe_load(path.read_text()) for path in sorted((REPOSITORY / "manifests/classes").glob("*.yaml"))
        ]
        rendered = {d["metadata"]["name"]: d["spec"] for d in _render() if d["kind"] == "PerformanceClass"}
        assert sources
        assert rendered == {source["metadata"]["name"]: source["spec"] for source in sources}

    def test_puts_variables_into_pods_only_where_it_is_asked_to(self) -> None:
        kinds = {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"}
        assert not [d for d in _render() if d["kind"] in kinds]
        source = yaml.safe_load_all((REPOSITORY / "manifests/admission/podenvironments.yaml").read_text())
        wanted = {d["kind"]: (d["metadata"]["name"], d["spec"]) for d in source}
        documents = [d for d in _render("podEnvironment.enabled=true") if d["kind"] in kinds]
        assert {d["kind"]: (d["metadata"]["name"], d["spec"]) for d in documents} == wanted
        assert {d["metadata"]["labels"]["app.kubernetes.io/managed-by"] for d in documents} == {"Helm"}

    def test_makes_alerts_of_the_rule_file_unchanged_and_only_where_it_is_asked_to(self) -> None:
        rules = yaml.safe_load((REPOSITORY / "manifests/alerts/pegbox.yaml").read_text())
        made = _one(_render("metrics.prometheusRule.enabled=true"), "PrometheusRule")
        assert made["spec"] == rules
        assert "PrometheusRule" not in {document["kind"] for document in _render()}

    def test_installs_classes_after_their_crd_where_the_cluster_does_not_know_it_yet(self) -> None:
        first = _one(_render(), "PerformanceClass")["metadata"]["annotations"]
        assert first["helm.sh/hook"] == "post-install"
        text = chart.template("--api-versions", "pegbox.dev/v1alpha1/PerformanceClass")
        later = _one([d for d in yaml.safe_load_all(text) if d], "PerformanceClass")["metadata"]["annotations"]
        assert "helm.sh/hook" not in later
        assert later["helm.sh/resource-policy"] == "keep"


class TestTheOperatorsSettings:
    def test_say_by_default_that_nothing_is_written(self) -> None:
        assert _config() == {
            "metricsSources": [
                {
                    "name": "default", "url": "http://prometheus.monitoring:9090", "tokenFile": "", "caFile": "",
                    "insecure": False, "headers": {}, "ownLabels": {}, "podLabel": "pod", "namespaceLabel": "namespace",
                    "timeoutSeconds": 10, "scrapeSeconds": 30,
                }
            ],
            "watchNamespaces": [], "allowWrites": False,
            "leaderElection": {"enabled": True, "namespace": "pegbox-system", "name": "pegbox"},
            "http": {"port": 8080}, "workers": 4, "kubeQps": 50, "nudgePods": False, "logFormat": "json",
            "maxConcurrentTrials": 5, "maxConcurrentRestarts": 2, "maxReplicasAddedPerHour": 0,
            "maxCpuAddedPerHour": "0", "maxMemoryAddedPerHour": "0", "maxReplicasRemovedPerHour": 0,
            "maxCpuRemovedPerHour": "0", "maxMemoryRemovedPerHour": "0",
            "fleetBreaker": {
                "profiles": 3, "withinSeconds": 900, "baseSeconds": 600, "longestSeconds": 14400,
                "writeFailureShare": 0.5,
            },
        }  # fmt: skip

    def test_follow_the_values(self) -> None:
        config = _config(*EVERYTHING, "http.port=9999", "operator.logFormat=text")
        assert config["watchNamespaces"] == ["shop", "billing"]
        assert (config["allowWrites"], config["nudgePods"], config["http"]["port"]) == (True, True, 9999)
        assert config["logFormat"] == "text"

    def test_follow_the_values_of_the_brakes(self) -> None:
        config = _config("brakes.maxConcurrentTrials=0", "brakes.fleetBreaker.profiles=7")
        less = _config("brakes.maxReplicasRemovedPerHour=6", "brakes.maxCpuRemovedPerHour=500m")
        assert (less["maxReplicasRemovedPerHour"], less["maxCpuRemovedPerHour"]) == (6, "500m")
        assert (config["maxConcurrentTrials"], config["fleetBreaker"]["profiles"]) == (0, 7)
        assert config["fleetBreaker"]["baseSeconds"] == 600

    def test_have_the_operators_own_defaults(self) -> None:
        made = parse(_config())
        defaults = Settings()
        assert made.fleetBreaker == defaults.fleetBreaker
        assert (made.maxConcurrentTrials, made.maxConcurrentRestarts) == (5, 2)
        assert (defaults.maxConcurrentTrials, defaults.maxConcurrentRestarts) == (5, 2)

    @pytest.mark.parametrize("settings", [(), EVERYTHING], ids=["default", "everything"])
    def test_are_what_the_operator_reads_field_by_field(self, settings: tuple[str, ...]) -> None:
        config = _config(*settings)
        assert config.keys() == {field.name for field in fields(Settings)}, "each one is set by the chart"
        assert parse(config).leaderElection.namespace == chart.NAMESPACE

    def test_changed_restart_the_operator(self) -> None:
        def checksum(*settings: str) -> str:
            template = _one(_render(*settings), "Deployment")["spec"]["template"]
            return str(template["metadata"]["annotations"]["pegbox.dev/config-checksum"])

        assert checksum() == checksum("resources.requests.cpu=200m")
        assert checksum() != checksum("operator.workers=5")


class TestThePod:
    def test_meets_the_restricted_pod_security_standard(self) -> None:
        pod = _one(_render(), "Deployment")["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert {next(iter(volume.keys() - {"name"})) for volume in pod["volumes"]} <= {"configMap", "emptyDir"}

    def test_runs_as_the_user_of_the_image(self) -> None:
        context = _one(_render(), "Deployment")["spec"]["template"]["spec"]["securityContext"]
        assert context["runAsUser"] == context["runAsGroup"] == recipes.load("pegbox").uid

    def test_runs_the_image_of_the_recipe(self) -> None:
        (container,) = _one(_render(), "Deployment")["spec"]["template"]["spec"]["containers"]
        assert container["image"] == recipes.load("pegbox").name
        assert container["args"] == ["run", "--config", "/etc/pegbox/operator.yaml"]

    def test_may_be_pinned_by_digest(self) -> None:
        digest = "sha256:" + "0" * 64
        (container,) = _one(_render(f"image.digest={digest}"), "Deployment")["spec"]["template"]["spec"]["containers"]
        assert container["image"] == f"docker.io/local/pegbox@{digest}"

    @pytest.mark.parametrize(("replicas", "strategy"), [(1, "Recreate"), (2, "RollingUpdate")])
    def test_never_waits_for_a_lease_that_its_predecessor_holds(self, replicas: int, strategy: str) -> None:
        assert _one(_render(f"replicas={replicas}"), "Deployment")["spec"]["strategy"]["type"] == strategy


class TestValues:
    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            pytest.param("modes.allowWrites=true", "additional properties 'modes' not allowed", id="unknown"),
            pytest.param("mode.allowWrite=true", "at '/mode': additional properties 'allowWrite'", id="unknown inside"),
            pytest.param("mode.allowWrites=maybe", "at '/mode/allowWrites': got string, want boolean", id="no boolean"),
            pytest.param("replicas=two", "at '/replicas': got string, want integer", id="not a number"),
            pytest.param("watchNamespaces=shop", "at '/watchNamespaces': got string, want array", id="not a list"),
            pytest.param("watchNamespaces={Shop}", "'Shop' does not match pattern", id="not a namespace's name"),
            pytest.param("http.port=80", "at '/http/port': minimum: got 80, want 1,024", id="privileged port"),
            pytest.param("operator.logFormat=xml", "at '/operator/logFormat': value must be one of", id="no choice"),
            pytest.param("metricsSources[0].url=prometheus:9090", "does not match pattern", id="no scheme"),
            pytest.param("metricsSources[0].name=default", "missing property 'url'", id="source without an address"),
            pytest.param("image.digest=sha256:12", "at '/image/digest'", id="cut digest"),
            pytest.param("resources.limits.cpus=1", "additional properties 'cpus'", id="unknown resource"),
        ],
    )  # fmt: skip
    def test_that_are_wrong_are_refused_by_name(self, setting: str, message: str) -> None:
        with pytest.raises(ValueError, match=re.escape(message)):
            chart.template("--set", setting)

    def test_every_one_of_them_is_in_the_schema_with_its_type(self) -> None:
        schema = json.loads((CHART / "values.schema.json").read_text())
        values = yaml.safe_load((CHART / "values.yaml").read_text())
        assert values.keys() == schema["properties"].keys() - {"global"}

    def test_no_object_of_ours_lets_unknown_fields_pass(self) -> None:
        schema = json.loads((CHART / "values.schema.json").read_text())
        assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
        open_ones = [path for path, node in _objects(schema, "") if "additionalProperties" not in node]
        assert open_ones == [
            "/global", "/networkPolicy/ingressFrom[]", "/tolerations[]", "/affinity", "/topologySpreadConstraints[]",
            "/extraVolumes[]", "/extraVolumeMounts[]",
        ]  # fmt: skip


def _objects(node: Document, path: str) -> Iterator[tuple[str, Document]]:
    if node.get("type") == "object":
        yield path, node
    for name, child in node.get("properties", {}).items():
        yield from _objects(child, f"{path}/{name}")
    if "items" in node:
        yield from _objects(node["items"], f"{path}[]")
