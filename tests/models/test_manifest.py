import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models.errors import InvalidManifestError, InvalidModelFileError, UnknownModelError
from models.importer import manifest_toml
from models.manifest import Manifest, load_manifest, parse_manifest
from models.registry import CATALOG, DEFAULTS, Registry

FEATURE = """
name = "f"
version = "1"
kind = "feature"
description = "d"
licence = "MIT"
source = "s"
dimensions = 4
[input]
width = 2
height = 2
[[files]]
role = "network"
path = "f.xml"
sha256 = "{sha256}"
size_bytes = 3
"""
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def parse(text: str, directory: Path = Path()) -> Manifest:
    return parse_manifest(text.format(sha256=EMPTY_SHA256), "f.toml", directory)


@pytest.mark.usefixtures("processes")
def test_listing_models_loads_no_heavy_library() -> None:
    code = (
        "import sys, models.registry, models.manifest;"
        "models.registry.Registry().list();"
        "print([m for m in ('numpy', 'openvino', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_shipped_file_is_what_its_manifest_says(networks: None, registry: Registry) -> None:
    for manifest in registry.list():
        for file in manifest.files:
            assert len(manifest.read_file(file.role)) == file.size_bytes


def test_every_shipped_file_has_a_manifest_and_a_licence() -> None:
    weights = CATALOG.parent / "weights"
    named = {file.path for manifest in Registry().list() for file in manifest.files}
    found = {path.name for path in weights.iterdir()}
    assert found - named == {"LICENSE-Apache-2.0.txt", "LICENSES.md"}
    assert named <= found


def test_each_kind_has_a_default(registry: Registry) -> None:
    for kind in DEFAULTS:
        manifest = registry.resolve(kind)
        assert manifest.kind == kind
        assert registry.is_default(manifest)
        assert registry.resolve(manifest.ref) is manifest
        assert registry.resolve(manifest.name) is manifest


def test_an_unknown_name_lists_what_exists(registry: Registry) -> None:
    with pytest.raises(UnknownModelError) as caught:
        registry.resolve("detekt")
    assert caught.value.available == (
        "detect",
        "ocr",
        "feature",
        "nanodet-g@1.0.0",
        "nanodet-g@1.1.0",
        "ppocr@4.6.0",
        "ppocr@6.0.0",
        "ppocr@6.1.0",
        "strip512@1.0.0",
    )


def test_classes_have_the_references_names(registry: Registry) -> None:
    classes = registry.resolve("detect").classes
    assert len(classes) == 80
    assert {"pedestrian", "automobile", "truck", "bus", "bicycle", "motorcycle"} <= set(classes)
    assert not {"person", "car"} & set(classes)


def test_a_manifest_survives_being_written(registry: Registry) -> None:
    for manifest in registry.list():
        again = parse_manifest(manifest_toml(manifest), "x", manifest.directory)
        assert again == manifest


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (FEATURE.replace('name = "f"', 'name = "F x"'), "name"),
        (FEATURE.replace('kind = "feature"', 'kind = "detect"'), "needs `decoder`"),
        (FEATURE.replace("dimensions = 4", ""), "needs `input` and `dimensions`"),
        (FEATURE.replace("dimensions = 4", 'colour = "red"'), "colour"),
        (FEATURE.replace("dimensions = 4", 'dimensions = 4\ndirectory = "/"'), "directory"),
        (FEATURE.replace("dimensions = 4", "dimensions = 4\nfiles_from = 3"), "files_from"),
        (FEATURE.replace('"f.xml"', '"../f.xml"'), "leaves"),
        (FEATURE.replace('"f.xml"', '"/f.xml"'), "leaves"),
        (FEATURE.replace("{sha256}", "abc"), "sha256"),
        ("name = ", "f.toml"),
    ],
)
def test_a_wrong_manifest_is_refused_with_its_field(wrong: str, message: str) -> None:
    with pytest.raises(InvalidManifestError, match=message):
        parse(wrong)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidManifestError, match=r"gone\.toml"):
        load_manifest(tmp_path / "gone.toml")
    with pytest.raises(InvalidModelFileError, match=r"f\.xml"):
        parse(FEATURE, tmp_path).read_file("network")
    with pytest.raises(InvalidManifestError, match="role 'charset'"):
        parse(FEATURE, tmp_path).read_file("charset")


def test_the_newest_version_of_a_name_is_meant(tmp_path: Path) -> None:
    for version in ("1.9", "1.10", "1.2"):
        path = tmp_path / f"f@{version}" / "manifest.toml"
        path.parent.mkdir()
        text = FEATURE.format(sha256=EMPTY_SHA256).replace(
            'version = "1"', f'version = "{version}"'
        )
        path.write_text(text, encoding="utf-8")
    registry = Registry(tmp_path)
    assert registry.resolve("f").version == "1.10"
    assert registry.resolve("f@1.2").version == "1.2"
    assert len(registry.list()) == 3 + len(Registry().list())


def test_one_ref_cannot_exist_twice(tmp_path: Path) -> None:
    for name in ("a", "b"):
        path = tmp_path / name / "manifest.toml"
        path.parent.mkdir()
        path.write_text(FEATURE.format(sha256=EMPTY_SHA256), encoding="utf-8")
    with pytest.raises(InvalidManifestError, match="duplicate model f@1"):
        Registry(tmp_path)


def test_models_that_come_change_and_go_are_followed_without_a_restart(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    shipped = len(registry.list())

    def put(name: str, text: str) -> Path:
        path = tmp_path / name / "manifest.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    whole = FEATURE.format(sha256=EMPTY_SHA256)
    path = put("f@1", whole)
    assert registry.resolve("f@1").kind == "feature"
    assert len(registry.list()) == shipped + 1
    put("broken@1", "name = ")
    put("again", whole)
    assert [m.ref for m in registry.list()].count("f@1") == 1, "others are not concerned"
    put("f@1", whole.replace('description = "', 'description = "new: '))
    os.utime(path, ns=(1, 1))
    assert registry.resolve("f@1").description  # a ref that is known is not looked for again
    assert len(registry.list()) == shipped + 1
    for name in ("f@1", "broken@1", "again"):
        shutil.rmtree(tmp_path / name)
    assert len(registry.list()) == shipped
    with pytest.raises(UnknownModelError):
        registry.resolve("f@1")
