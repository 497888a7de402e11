"""Which cluster is taken, and why."""

from __future__ import annotations

import pytest

from dev.cluster.choose import choose
from dev.cluster.errors import ClusterError

FILE = "/home/dev/kubeconfig"


@pytest.mark.parametrize(
    ("environ", "docker", "kind", "why"),
    [
        pytest.param({}, False, "local", "does not succeed", id="nothing at all gives the local cluster"),
        pytest.param({}, True, "kind", "`docker info` succeeds", id="a Docker that answers gives kind"),
        pytest.param(
            {"PEGBOX_KUBECONFIG": FILE}, True, "existing", FILE, id="a kubeconfig goes before a Docker that answers"
        ),
        pytest.param(
            {"PEGBOX_CLUSTER": "local", "PEGBOX_KUBECONFIG": FILE},
            True,
            "local",
            "PEGBOX_CLUSTER=local",
            id="the override goes before a kubeconfig",
        ),
        pytest.param(
            {"PEGBOX_CLUSTER": "kind"}, False, "kind", "PEGBOX_CLUSTER=kind", id="the override asks no Docker"
        ),
        pytest.param(
            {"PEGBOX_CLUSTER": "existing", "PEGBOX_KUBECONFIG": FILE},
            False,
            "existing",
            "PEGBOX_CLUSTER=existing",
            id="existing with its kubeconfig is taken",
        ),
        pytest.param({"PEGBOX_CLUSTER": ""}, False, "local", "does not succeed", id="an empty override is none"),
        pytest.param({"PEGBOX_KUBECONFIG": ""}, False, "local", "does not", id="an empty kubeconfig is none"),
    ],
)
def test_the_choice(environ: dict[str, str], docker: bool, kind: str, why: str) -> None:
    choice = choose(environ, lambda: docker)

    assert choice.kind == kind
    assert why in choice.why


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        pytest.param({"PEGBOX_CLUSTER": "minikube"}, "existing, kind, local", id="an unknown kind names the known"),
        pytest.param({"PEGBOX_CLUSTER": "existing"}, "PEGBOX_KUBECONFIG", id="existing needs a kubeconfig"),
    ],
)
def test_an_override_that_cannot_be_is_refused_with_its_remedy(environ: dict[str, str], named: str) -> None:
    with pytest.raises(ClusterError, match=named):
        choose(environ, lambda: True)


@pytest.mark.parametrize("environ", [{"PEGBOX_CLUSTER": "local"}, {"PEGBOX_KUBECONFIG": FILE}])
def test_docker_is_not_asked_where_it_does_not_matter(environ: dict[str, str]) -> None:
    def docker() -> bool:
        raise AssertionError("docker was asked")

    choose(environ, docker)
