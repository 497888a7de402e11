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
            if name.partition(".")[0] in MODULES or name in CALLS:
                yield f"line {node.lineno} imports {name}"


def _call(node: ast.Call) -> Iterator[str]:
    called = ast.unparse(node.func)
    if called in CALLS:
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
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from joblib import load", "import os\nos.system('x')", "from os import system",
        "eval('1')", "exec(text)", "yaml.load(text)", "yaml.load(text, Loader=yaml.Loader)",
        "yaml.load(text, yaml.FullLoader)", "yaml.unsafe_load(text)", "run(x, shell=True)", "import subprocess as s",
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
