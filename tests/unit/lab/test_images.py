"""Images are whole or not there, and equal input gives equal bytes."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from pathfinder.lab import images
from tools import commands
from tools.trouble import Trouble

busybox = pytest.mark.skipif(not commands.find("busybox"), reason="busybox-static is not installed")


@busybox
def test_busybox_image_has_what_lxd_wants(tmp_path: Path) -> None:
    image = tmp_path / "busybox.tar.gz"

    images.build_busybox(image)

    with tarfile.open(image) as archive:
        names = archive.getnames()
        described = archive.extractfile("metadata.yaml")
        assert described
        assert json.load(described)["templates"]["/etc/hostname"]["template"] == "hostname.tpl"
    assert {"templates/hostname.tpl", "rootfs/sbin/init", "rootfs/bin/busybox"} <= set(names)


@busybox
def test_same_input_gives_the_same_fingerprint(tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "image.tar.gz", tmp_path / "b" / "image.tar.gz"

    images.build_busybox(first)
    images.build_busybox(second)

    assert images.fingerprint(first) == images.fingerprint(second)


def test_failed_build_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Trouble), images.fresh(tmp_path / "image.tar.gz"):
        raise Trouble("no room")

    assert list(tmp_path.iterdir()) == []


def test_member_moves_with_the_target_of_its_hard_link() -> None:
    member = tarfile.TarInfo("./usr/bin/perl5.36.0")
    member.type, member.linkname = tarfile.LNKTYPE, "./usr/bin/perl"
    member.pax_headers = {"path": "./usr/bin/perl5.36.0", "SCHILY.xattr.security.capability": "x"}

    images.move_under(member, "rootfs")

    assert (member.name, member.linkname) == ("rootfs/usr/bin/perl5.36.0", "rootfs/usr/bin/perl")
    assert member.pax_headers == {"SCHILY.xattr.security.capability": "x"}


def test_symbolic_link_keeps_its_target() -> None:
    member = tarfile.TarInfo("./bin")
    member.type, member.linkname = tarfile.SYMTYPE, "usr/bin"

    images.move_under(member, "rootfs")

    assert (member.name, member.linkname) == ("rootfs/bin", "usr/bin")


@busybox
def test_image_for_docker_has_one_layer_and_says_what_is_in_it(tmp_path: Path) -> None:
    first, second = tmp_path / "a.tar.gz", tmp_path / "b.tar.gz"

    images.build_docker_busybox(first)
    images.build_docker_busybox(second)

    with tarfile.open(first) as archive:
        files = {member.name: archive.extractfile(member) for member in archive.getmembers()}
        manifest, layer = files["manifest.json"], files["layer.tar"]
        assert manifest
        assert layer
        (described,) = json.load(manifest)
        config = files[described["Config"]]
        assert config
        (digest,) = json.load(config)["rootfs"]["diff_ids"]
        content = layer.read()
    assert described["RepoTags"] == ["busybox:latest"]
    assert digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    with tarfile.open(fileobj=io.BytesIO(content)) as root:
        assert {"sbin/application", "bin/busybox"} <= set(root.getnames())
    assert images.fingerprint(first) == images.fingerprint(second)
