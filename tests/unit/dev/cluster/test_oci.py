"""The archive holds what a container runtime will look for, and says what the container runs."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from dev.cluster.oci import ImageError, architecture, write_archive, write_layer

NAME = "docker.io/local/app:1"


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    path = tmp_path / "layer.tar"
    write_layer(path, {"/bin/app": (b"program", 0o755)})
    return path


def blobs(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]


def follow(content: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    """The blob of a descriptor, with its digest and size checked as a runtime would."""
    algorithm, digest = descriptor["digest"].split(":")
    data = content[f"blobs/{algorithm}/{digest}"]
    assert hashlib.sha256(data).hexdigest() == digest
    assert len(data) == descriptor["size"]
    return data


def write(tmp_path: Path, *layers: Path, **changes: Any) -> Path:
    arguments: dict[str, Any] = {"name": NAME, "entrypoint": ["/bin/app"], **changes}
    path = tmp_path / "image.tar"
    write_archive(path, layers=list(layers), **arguments)
    return path


def test_every_descriptor_leads_to_its_blob(tmp_path: Path, layer: Path) -> None:
    content = blobs(write(tmp_path, layer, env={"B": "2", "A": "1"}, user="10001:10001", workdir="/srv"))

    assert json.loads(content["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads(content["index.json"])["manifests"]
    manifest = json.loads(follow(content, entry))
    config = json.loads(follow(content, manifest["config"]))
    assert follow(content, manifest["layers"][0]) == layer.read_bytes()
    assert entry["annotations"] == {"io.containerd.image.name": NAME, "org.opencontainers.image.ref.name": "1"}
    assert entry["platform"] == {"architecture": architecture(), "os": "linux"}
    assert config["config"] == {
        "Entrypoint": ["/bin/app"],
        "Env": ["A=1", "B=2"],
        "User": "10001:10001",
        "WorkingDir": "/srv",
    }


def test_the_config_carries_digests_of_uncompressed_layers(tmp_path: Path, layer: Path) -> None:
    packed = tmp_path / "packed.tar.gz"
    packed.write_bytes(gzip.compress(layer.read_bytes(), mtime=0))

    content = blobs(write(tmp_path, layer, packed))

    manifest = json.loads(follow(content, json.loads(content["index.json"])["manifests"][0]))
    config = json.loads(follow(content, manifest["config"]))
    plain = f"sha256:{hashlib.sha256(layer.read_bytes()).hexdigest()}"
    assert config["rootfs"]["diff_ids"] == [plain, plain]
    assert [each["mediaType"].rpartition(".")[2] for each in manifest["layers"]] == ["tar", "tar+gzip"]


def test_a_layer_that_is_there_twice_is_stored_once(tmp_path: Path, layer: Path) -> None:
    with tarfile.open(write(tmp_path, layer, layer)) as archive:
        names = archive.getnames()

    assert len(names) == len(set(names)) == 5  # layout, index, layer, config, manifest


def test_the_same_content_gives_the_same_bytes(tmp_path: Path, layer: Path) -> None:
    first = write(tmp_path, layer, env={"A": "1"}).read_bytes()

    assert write(tmp_path, layer, env={"A": "1"}).read_bytes() == first
    assert write(tmp_path, layer, env={"A": "2"}).read_bytes() != first


def test_the_digest_given_back_is_the_manifests(tmp_path: Path, layer: Path) -> None:
    path = tmp_path / "image.tar"

    digest = write_archive(path, name=NAME, layers=[layer], entrypoint=["/bin/app"])

    assert json.loads(blobs(path)["index.json"])["manifests"][0]["digest"] == digest


def test_a_layer_keeps_modes_and_belongs_to_root(layer: Path) -> None:
    with tarfile.open(layer) as tar:
        (member,) = tar.getmembers()

    assert (member.name, member.mode, member.uid, member.mtime) == ("bin/app", 0o755, 0, 0)


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        pytest.param({"name": "app:1"}, "docker.io/local/app:1", id="a short name, which a kubelet would expand"),
        pytest.param({"name": "local/app:1"}, "docker.io/local/app:1", id="a name whose first part is no registry"),
        pytest.param({"name": "docker.io/local/app"}, "docker.io/local/app:1", id="a name without a tag"),
        pytest.param({"entrypoint": []}, "name the program", id="no entrypoint"),
        pytest.param({"workdir": "srv"}, "begin it with /", id="a relative working directory"),
    ],
)
def test_what_no_runtime_could_use_is_refused(
    tmp_path: Path, layer: Path, changes: dict[str, Any], remedy: str
) -> None:
    with pytest.raises(ImageError, match=remedy):
        write(tmp_path, layer, **changes)
    assert not (tmp_path / "image.tar").exists()


def test_an_image_without_layers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="at least one root file system"):
        write(tmp_path)


def test_a_layer_that_is_not_there_is_named_and_no_half_archive_stays(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere\.tar"):
        write(tmp_path, tmp_path / "nowhere.tar")
    assert list(tmp_path.iterdir()) == []
