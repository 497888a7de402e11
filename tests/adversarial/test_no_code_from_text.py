"""Nothing that the operator reads can become code: no unpickling, no eval, no template, no shell. Asked of the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

OPERATOR = Path(__file__).resolve().parents[2] / "operator" / "pegbox"
MODULES = {
    *("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal", "joblib", "jsonpickle"),
    *("subprocess", "pty", "commands", "code", "codeop", "runpy", "ctypes", "cffi"),
    *("jinja2", "mako", "chevron", "xml", "lxml", "ruamel", "toml"),
}
"""Modules that turn bytes into objects or code, or run programs. XML: entities that expand without end."""
CALLS = {
    *("eval", "exec", "compile", "__import__", "breakpoint", "input"),
    *("os.system", "os.popen", "os.execv", "os.execve", "os.execvp", "os.spawnv", "os.posix_spawn", "os.fork", "os.startfile"),
    *("importlib.import_module", "importlib.reload", "types.CodeType", "types.FunctionType", "string.Template"),
    *("yaml.unsafe_load", "yaml.unsafe_load_all", "yaml.full_load", "yaml.full_load_all", "yaml.Loader", "yaml.UnsafeLoader"),
    *("numpy.load", "np.load", "pandas.read_pickle", "logging.config.dictConfig", "logging.config.listen"),
}  # fmt: skip
RUNS_FILES = {"spec_from_file_location", "exec_module", "run_path", "SourceFileLoader"}
"""Whatever object they are called on: they run a file as Python."""
ALLOWED = {"bench/plant_file.py": {"SourceFileLoader", "spec_from_file_location", "exec_module"}}
"""The one exception, on purpose: `pegbox bench tune --plant FILE.py:Class` runs a file that the user names on his own
command line, with his own rights, as `python FILE.py` would. The operator imports nothing of the benchmark."""
SAFE_LOADERS = {"_Loader", "_LOADER"}
"""Both are made of yaml.CSafeLoader or yaml.SafeLoader, which the last test here holds."""


def faults(source: str) -> Iterator[str]:
    """What of the above a source does, with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call):
            yield from _call(node)
            continue
        else:
            continue
        for name in names:
            if name.partition(".")[0] in MODULES or name in CALLS or name.rpartition(".")[2] in RUNS_FILES:
                yield f"line {node.lineno} imports {name}"


def _call(node: ast.Call) -> Iterator[str]:
    called = ast.unparse(node.func)
    if called in CALLS or called.rpartition(".")[2] in RUNS_FILES:
        yield f"line {node.lineno} calls {called}"
    if any(word.arg == "shell" for word in node.keywords):
        yield f"line {node.lineno} gives {called} a shell"
    if called in ("yaml.load", "yaml.load_all", "yaml.parse", "yaml.compose"):
        loaders = [ast.unparse(word.value) for word in node.keywords if word.arg == "Loader"]
        loaders += [ast.unparse(argument) for argument in node.args[1:]]
        if not loaders or not set(loaders) <= SAFE_LOADERS:
            yield f"line {node.lineno} calls {called} with {loaders or 'no loader'}"


def test_the_operator_has_none_of_it() -> None:
    files = sorted(OPERATOR.rglob("*.py"))
    assert len(files) > 100
    found = {str(file.relative_to(OPERATOR)): said for file in files if (said := list(faults(file.read_text())))}
    expected = {file: len(calls) for file, calls in ALLOWED.items()}
    assert {file: len(said) for file, said in found.items()} == expected, found
    for file, calls in ALLOWED.items():
        assert {line.rpartition(".")[2] for line in found[file]} == calls


def test_nothing_that_the_operator_is_made_of_imports_the_exception() -> None:
    """Only the command line's benchmark does: no wake of the operator can come to it."""
    shells = ("adapters", "api", "core", "learning", "live", "model", "runtime", "testing")
    for file in sorted(path for shell in shells for path in (OPERATOR / shell).rglob("*.py")):
        assert "pegbox.bench" not in file.read_text(), file


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from joblib import load", "import os\nos.system('x')", "from os import system",
        "eval('1')", "exec(text)", "yaml.load(text)", "yaml.load(text, Loader=yaml.Loader)",
        "yaml.load(text, yaml.FullLoader)", "yaml.unsafe_load(text)", "run(x, shell=True)", "import subprocess as s",
        "spec.loader.exec_module(module)", "importlib.util.spec_from_file_location('x', path)",
        "from importlib.util import spec_from_file_location", "from importlib.machinery import SourceFileLoader as L",
        "from importlib import import_module", "import jinja2", "def f():\n    import marshal",
    ],
)  # fmt: skip
def test_each_of_it_would_be_seen(source: str) -> None:
    assert list(faults(source))


def test_the_loaders_by_name_are_safe_ones() -> None:
    import yaml

    from pegbox.adapters import yamlfile
    from pegbox.adapters.kube import yamltext

    safe = (yaml.SafeLoader, yaml.CSafeLoader)
    for loader in (yamlfile._Loader, yamlfile._LOADER, yamltext._LOADER):
        assert issubclass(loader, safe)
        assert not {tag for tag in loader.yaml_constructors if tag and "python" in tag}
