"""Keys, certificates and kubeconfigs of a cluster, by the openssl command.

The standard library cannot sign certificates, and the cluster must come up before anything is installed.
Keys are P-256: made in milliseconds. Everything lives as long as the cluster: a year at most.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.cluster import files
from dev.cluster.errors import ClusterError

_DAYS = "365"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: Path
    key: Path


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"openssl {' '.join(arguments)} failed:\n{done.stderr}")


class Authority:
    """A certificate authority in a directory; it keeps what it has once made."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.ca = Pair(directory / f"{name}.crt", directory / f"{name}.key")
        if not self.ca.certificate.exists():
            key_file(self.ca.key)
            _openssl("req", "-x509", "-new", "-key", str(self.ca.key), "-subj", f"/CN={name}", "-days", _DAYS,
                     "-addext", "basicConstraints=critical,CA:TRUE",
                     "-addext", "keyUsage=critical,keyCertSign,digitalSignature",
                     "-out", str(self.ca.certificate))  # fmt: skip

    def server(self, name: str, alternatives: Sequence[str]) -> Pair:
        """A serving certificate; alternatives as openssl spells them: `DNS:localhost`, `IP:127.0.0.1`."""
        extensions = ["extendedKeyUsage=serverAuth", f"subjectAltName={','.join(alternatives)}"]
        return self._sign(name, f"/CN={name}", extensions)

    def client(self, user: str, groups: Sequence[str] = ()) -> Pair:
        """A client certificate, which the API server reads as a user with groups."""
        subject = "".join(f"/O={_escaped(group)}" for group in groups) + f"/CN={_escaped(user)}"
        file = _UNSAFE.sub("_", "--".join([user, *groups]))
        return self._sign(file, subject, ["extendedKeyUsage=clientAuth"])

    def _sign(self, file: str, subject: str, extensions: Sequence[str]) -> Pair:
        pair = Pair(self.directory / f"{file}.crt", self.directory / f"{file}.key")
        if pair.certificate.exists():
            return pair
        request, options = self.directory / f"{file}.csr", self.directory / f"{file}.ext"
        key_file(pair.key)
        options.write_text("\n".join(["keyUsage=digitalSignature", *extensions]) + "\n")
        _openssl("req", "-new", "-key", str(pair.key), "-subj", subject, "-out", str(request))
        _openssl("x509", "-req", "-in", str(request),
                 "-CA", str(self.ca.certificate), "-CAkey", str(self.ca.key),
                 "-set_serial", f"0x{_serial()}", "-days", _DAYS, "-extfile", str(options),
                 "-out", str(pair.certificate))  # fmt: skip
        request.unlink()
        options.unlink()
        return pair


def key_file(path: Path) -> Path:
    """A fresh P-256 key that only its owner can read, unless there is one."""
    if not path.exists():
        temporary = path.with_suffix(".part")
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(temporary))
        temporary.chmod(0o600)
        temporary.rename(path)
    return path


def public_key(key: Path, target: Path) -> Path:
    """The public half of a key, by which the API server checks service account tokens."""
    _openssl("ec", "-in", str(key), "-pubout", "-out", str(target))
    return target


def kubeconfig(path: Path, url: str, ca: Path, user: Pair | str) -> Path:
    """Write a kubeconfig with everything inside it; `user` is a client certificate or a token."""
    credentials: dict[str, Any] = (
        {"token": user}
        if isinstance(user, str)
        else {"client-certificate-data": _base64(user.certificate), "client-key-data": _base64(user.key)}
    )
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "pegbox", "cluster": {"server": url, "certificate-authority-data": _base64(ca)}}],
        "users": [{"name": "user", "user": credentials}],
        "contexts": [{"name": "pegbox", "context": {"cluster": "pegbox", "user": "user"}}],
        "current-context": "pegbox",
    }
    return files.write(path, json.dumps(document, indent=1) + "\n")


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _escaped(value: str) -> str:
    """A name as part of an openssl subject, where / and + would begin the next part."""
    return value.replace("\\", "\\\\").replace("/", "\\/").replace("+", "\\+")


def _serial() -> str:
    return secrets.token_hex(15)
