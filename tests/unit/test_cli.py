"""The command line: help is fast, mistakes take one line, and exit codes say what happened."""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from pegbox import cli
from pegbox.model.errors import InvalidInput, NotAvailable

COMMANDS = (
    "run",
    "recommend",
    "explain",
    "doctor",
    "render-crds",
    "try",
    "rollback",
    "reset",
    "pause",
    "resume",
    "stop",
    "start",
)
HEAVY = ("pydantic", "kubernetes", "prometheus_api_client", "numpy", "sklearn", "kopf", "aiohttp", "yaml", "requests")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_there_for_every_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*([command] if command else []), "--help"])
    assert ended.value.code == 0
    assert "usage: " in capsys.readouterr().out


def test_help_imports_none_of_the_heavy_parts() -> None:
    script = (
        "import sys\nfrom pegbox import cli\ncli.parser().format_help()\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_as_a_plugin_of_kubectl_it_calls_itself_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/kubectl-pegbox"])
    assert cli.parser().format_usage().startswith("usage: kubectl pegbox")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["explain", "checkout"], "write NAMESPACE/NAME", id="a_key_without_a_namespace"),
        pytest.param(["explain", "a/b/c"], "write NAMESPACE/NAME", id="a_key_of_three_parts"),
        pytest.param(["reset", "/x"], "write NAMESPACE/NAME", id="an_empty_namespace"),
        pytest.param(["try", "shop/checkout"], "KNOB=VALUE", id="a_try_of_nothing"),
        pytest.param(["reset", "shop/checkout", "--wait", "long"], "write seconds", id="a_wait_that_is_no_number"),
        pytest.param(["reset", "shop/checkout", "--wait", "nan"], "write seconds", id="a_wait_of_nan"),
        pytest.param(["explain", "shop/checkout", "--trials", "-1"], "from 0 to 50", id="a_negative_number_of_trials"),
        pytest.param(["recommend", "-f", "x.yaml"], "--prometheus", id="no_metrics_server"),
        pytest.param(
            ["recommend", "-f", "x", "--prometheus", "http://x", "--pods", "a", "--deployment", "b"],
            "not allowed with",
            id="pods_named_twice",
        ),
        pytest.param([], "COMMAND", id="no_command"),
    ],
)
def test_arguments_that_cannot_be_used_end_with_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "said", "code"),
    [
        pytest.param(InvalidInput("spec.mode", "Auot", "write\nAuto"), "spec.mode: 'Auot'", 2, id="bad_input"),
        pytest.param(NotAvailable("no\n answer"), "no answer", 2, id="a_server_that_is_down"),
        pytest.param(
            ModuleNotFoundError("x", name="pydantic"), "pip install 'pegbox[operator]'", 2, id="a_light_install"
        ),
    ],
)
def test_an_error_takes_one_line_on_stderr(
    error: Exception, said: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_: Namespace) -> int:
        raise error

    monkeypatch.setattr(cli, "_crds", fails)
    assert cli.main(["render-crds"]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("pegbox: ")
    assert said in printed.err


def test_an_error_of_our_own_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Namespace) -> int:
        raise ModuleNotFoundError("no module", name="pegbox.nowhere")

    monkeypatch.setattr(cli, "_crds", fails)
    with pytest.raises(ModuleNotFoundError):
        cli.main(["render-crds"])


def test_an_interrupt_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_crds", interrupted)
    assert cli.main(["render-crds"]) == 130


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["run", "--config", "/no/such.yaml"], "/no/such.yaml", id="run_without_its_settings"),
        pytest.param(
            ["explain", "shop/checkout", "--kubeconfig", "/no/such"], "--kubeconfig: '/no/such'", id="no_kubeconfig"
        ),
        pytest.param(
            ["doctor", "--prometheus", "localhost:9090"], "--prometheus: 'localhost:9090'", id="a_url_without_a_scheme"
        ),
        pytest.param(["pause", "shop/checkout", "soon"], "TIME: 'soon'", id="a_pause_of_no_duration"),
        pytest.param(["try", "shop/checkout", "worker_count"], "write knob=value", id="a_try_without_a_value"),
        pytest.param(["render-crds", "--out", "/dev/null/crds"], "--out", id="a_directory_that_cannot_be"),
    ],
)
def test_mistakes_are_told_without_a_traceback(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_the_rendered_crds_are_those_of_the_repository(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shipped = {f.name: f.read_text() for f in (Path(__file__).resolve().parents[2] / "crds").glob("*.yaml")}
    assert cli.main(["render-crds", "--out", str(tmp_path / "new")]) == 0
    assert {f.name: f.read_text() for f in (tmp_path / "new").iterdir()} == shipped
    capsys.readouterr()
    assert cli.main(["render-crds"]) == 0
    stream = capsys.readouterr().out
    assert all(text in stream for text in shipped.values())
    assert stream.count("\n---\n") + stream.startswith("---\n") == len(shipped)


def test_a_reader_that_leaves_early_is_no_error() -> None:
    program = f"{sys.executable} -m pegbox render-crds | head -n 1"
    found = subprocess.run(["bash", "-o", "pipefail", "-c", program], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
