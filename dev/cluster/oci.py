"""Wrap root file systems as an OCI image archive that `ctr images import` and `docker load` accept.

Why own code: no Docker and no registry may be assumed, and the format is four JSON files in a tar
(image-spec v1: oci-layout, index, manifest, config) beside the layers. Archives are reproducible:
the same layers and configuration give the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

_CHUNK = 1 << 20
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class ImageError(ValueError):
    """The archive cannot be written as asked; the message names the argument, the value and the remedy."""


@dataclass(frozen=True)
class ImageConfig:
    """What a container of the image runs, and as whom."""

    entrypoint: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = "0:0"
    workdir: str = "/"


@dataclass(frozen=True)
class _Blob:
    """A file of the archive: where its bytes are, their digest and size."""

    source: Path | bytes
    digest: str
    size: int
    media_type: str

    def descriptor(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": f"sha256:{self.digest}", "size": self.size}

    @property
    def path(self) -> str:
        return f"blobs/sha256/{self.digest}"


def architecture() -> str:
    """The image architecture of this machine, as OCI spells it."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def write_archive(
    path: Path,
    *,
    name: str,
    layers: Sequence[Path],
    entrypoint: Sequence[str],
    env: Mapping[str, str] | None = None,
    user: str = "0:0",
    workdir: str = "/",
) -> str:
    """Write an OCI archive at `path`, and give the manifest's digest (`sha256:...`).

    `name` is the full image name with a tag, such as `docker.io/local/app:1`: without the registry part
    the kubelet, which expands short names, would never find it. Each layer is a tar, plain or gzip.
    The file appears under its name only when it is complete.
    """
    config = ImageConfig(tuple(entrypoint), dict(env or {}), user, workdir)
    _check(name, layers, config)
    blobs = [_layer(layer) for layer in layers]
    diff_ids = [_diff_id(layer) for layer in layers]
    config_blob = _json_blob(_config_document(config, diff_ids), "application/vnd.oci.image.config.v1+json")
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config_blob.descriptor(),
        "layers": [blob.descriptor() for blob in blobs],
    }
    manifest_blob = _json_blob(manifest, "application/vnd.oci.image.manifest.v1+json")
    temporary = path.with_name(path.name + ".part")
    try:
        with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as archive:
            _add(archive, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
            _add(archive, "index.json", json.dumps(_index(name, manifest_blob)).encode())
            for blob in {blob.digest: blob for blob in [*blobs, config_blob, manifest_blob]}.values():
                _add(archive, blob.path, blob.source)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return f"sha256:{manifest_blob.digest}"


def write_layer(path: Path, files: Mapping[str, tuple[Path | bytes, int]]) -> None:
    """Write a reproducible layer tar from `{path in image: (content, mode)}`, owned by root, dated 1970."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as layer:
        for target, (content, mode) in sorted(files.items()):
            _add(layer, target.lstrip("/"), content, mode)


def _check(name: str, layers: Sequence[Path], config: ImageConfig) -> None:
    registry, slash, rest = name.partition("/")
    if not slash or ("." not in registry and ":" not in registry and registry != "localhost"):
        raise ImageError(f"name {name!r} has no registry part: write docker.io/local/{name.split('/')[-1]}")
    if ":" not in rest:
        raise ImageError(f"name {name!r} has no tag: write {name}:1")
    if not layers:
        raise ImageError(f"layers of {name} is empty: give at least one root file system tar")
    for layer in layers:
        if not layer.is_file():
            raise ImageError(f"layer {layer} of {name} is not a file: build it first")
    if not config.entrypoint:
        raise ImageError(f"entrypoint of {name} is empty: name the program to run")
    if not config.workdir.startswith("/"):
        raise ImageError(f"workdir {config.workdir!r} of {name} is not absolute: begin it with /")


def _config_document(config: ImageConfig, diff_ids: Sequence[str]) -> dict[str, Any]:
    return {
        "architecture": architecture(),
        "os": "linux",
        "config": {
            "Entrypoint": list(config.entrypoint),
            "Env": [f"{key}={value}" for key, value in sorted(config.env.items())],
            "User": config.user,
            "WorkingDir": config.workdir,
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff}" for diff in diff_ids]},
    }


def _index(name: str, manifest: _Blob) -> dict[str, Any]:
    annotations = {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1],
    }
    return {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {
                **manifest.descriptor(),
                "annotations": annotations,
                "platform": {"architecture": architecture(), "os": "linux"},
            }
        ],
    }


def _json_blob(document: Mapping[str, Any], media_type: str) -> _Blob:
    data = json.dumps(document, sort_keys=True).encode()
    return _Blob(data, hashlib.sha256(data).hexdigest(), len(data), media_type)


def _layer(path: Path) -> _Blob:
    with path.open("rb") as stream:
        digest = _sha256(stream)
    suffix = "+gzip" if _is_gzip(path) else ""
    return _Blob(path, digest, path.stat().st_size, f"application/vnd.oci.image.layer.v1.tar{suffix}")


def _diff_id(path: Path) -> str:
    """The digest of the uncompressed layer, which the config must carry whatever the layer's compression."""
    if not _is_gzip(path):
        with path.open("rb") as stream:
            return _sha256(stream)
    with gzip.open(path, "rb") as stream:
        return _sha256(stream)


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _sha256(stream: IO[bytes] | gzip.GzipFile) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _add(archive: tarfile.TarFile, name: str, source: Path | bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    with _opened(source) as (stream, size):
        entry.size = size
        archive.addfile(entry, stream)


@contextmanager
def _opened(source: Path | bytes) -> Iterator[tuple[IO[bytes], int]]:
    if isinstance(source, bytes):
        yield io.BytesIO(source), len(source)
        return
    with source.open("rb") as stream:
        yield stream, source.stat().st_size
