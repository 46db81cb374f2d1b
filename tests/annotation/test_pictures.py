"""The picture that a label file names: where it may lie, what its header says, never a pixel decoded."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contract_files import H, W, document, good, png, read, refusal, write
from vircraft.annotation.documents import LabelFileError
from vircraft.annotation.rules import read_annotations

NOISE = np.random.default_rng(0).integers(0, 256, (H, W, 3), np.uint8)
FORMATS = ["png", "jpg", "tif", "bmp", "webp", "gif", "jp2", "ppm"]


def named(name: str, **more):
    """Return a good file whose picture is `name`, of no stated size."""
    return {**good(), "imagePath": name, "imageHeight": None, "imageWidth": None, **more}


def found_size(root: Path, name: str) -> tuple[int, int]:
    return read(root, {**named(name), "shapes": []}).size_wh


@pytest.fixture
def tree(tmp_path) -> Path:
    """A dataset with pictures in it and one beside it; returns its root."""
    root = tmp_path / "inside"
    for folder in (root / "labels", root / "images" / "night", tmp_path / "beside"):
        folder.mkdir(parents=True)
    for place in (
        "inside/im.png",
        "inside/images/im.png",
        "inside/images/night/a b.PNG",
        "beside/im.png",
        "im.png",
    ):
        Image.new("L", (W, H)).save(tmp_path / place)
    return root


def outcome(root: Path, name: str) -> str:
    """Return the file name, or the reason against it, of a picture named in root/labels/a.json."""
    path = write(root / "labels", named(name), picture="")
    try:
        return read_annotations(path, root).file_name
    except LabelFileError as error:
        return error.reason


# -- where it may lie --------------------------------------------------------------------------------

INSIDE = {
    "../images/im.png": "images/im.png",
    "..\\images\\im.png": "images/im.png",
    "..\\images/night\\a b.PNG": "images/night/a b.PNG",
    "./../im.png": "im.png",
    "..//images///im.png": "images/im.png",
    "../images/../images/./im.png": "images/im.png",
    "../../inside/im.png": "im.png",  # out of the root and back
}
UNSAFE = [
    "../../beside/im.png",
    "..\\..\\beside\\im.png",
    "../../im.png",
    "../../gone.png",
    "../../../../../../../../../../../../etc/passwd",
    "../../root-beside/im.png",
    "/im.png",
    "//server/share/im.png",
    "\\\\server\\share\\im.png",
    "\\im.png",
    "\\\\?\\C:\\im.png",
    "C:\\im.png",
    "c:/im.png",
    "C:im.png",
    "../images/im.png\0",
    "\0",
    "../images/\0/im.png",
    "../..",
    "../../",
]
MISSING = [
    "",
    ".",
    "./",
    "..",
    "gone.png",
    "../images",
    "../images/",
    "../images/night",
    "../IMAGES/gone.png",
    "../im.png/im.png",
    "http://host/im.png",
    "file:im.png",
    "~/im.png",
    "$HOME/im.png",
    "%2e%2e/im.png",
    "x" * 300,
    "x" * 100_000,
    "x/" * 5_000_000,
    "\ud800.png",
    "\ud800/im.png",
    "\udcff.png",
    "..\u2215im.png",
    "im.png\n",
    "*.png",
]


@pytest.mark.parametrize(("name", "file_name"), INSIDE.items())
def test_a_path_inside_the_root_is_fine(tree, name, file_name):
    assert outcome(tree, name) == file_name


@pytest.mark.parametrize("name", UNSAFE, ids=ascii)
def test_a_path_out_of_the_root_is_unsafe(tree, name):
    assert outcome(tree, name) == "unsafe-path"


@pytest.mark.parametrize("name", MISSING, ids=lambda name: ascii(name)[:30])
def test_a_picture_that_is_not_there_is_missing(tree, name):
    assert outcome(tree, name) == "missing-image"


@pytest.mark.parametrize(
    "name", ["é.png", "航空機 1.png", "a'b\"c.png", "a;b$(c).png", "-rf.png", "x" * 200 + ".png"]
)
def test_names_of_any_characters_are_found(tree, name):
    Image.new("L", (W, H)).save(tree / "images" / name)
    assert outcome(tree, f"../images/{name}") == f"images/{name}"


LINKS = {
    "a file inside": ("inside/images/link.png", "../im.png", "images/link.png"),
    "a chain inside": ("inside/images/link.png", "link2.png", "images/link.png"),
    "a file outside": ("inside/images/link.png", "../../beside/im.png", "unsafe-path"),
    "a file outside that is not there": ("inside/images/link.png", "../../beside/gone.png", "unsafe-path"),
    "a chain that leads outside": ("inside/images/link.png", "out.png", "unsafe-path"),
    "a loop": ("inside/images/link.png", "link.png", "missing-image"),
    "a loop of two": ("inside/images/link.png", "loop.png", "missing-image"),
    "nothing": ("inside/images/link.png", "gone.png", "missing-image"),
    "a folder": ("inside/images/link.png", "night", "missing-image"),
    "a device": ("inside/images/link.png", "/dev/zero", "unsafe-path"),
}


@pytest.mark.parametrize(("place", "target", "expected"), LINKS.values(), ids=LINKS)
def test_a_link_to_a_picture(tree, place, target, expected):
    (tree / "images" / "link2.png").symlink_to("../im.png")
    (tree / "images" / "out.png").symlink_to("../../im.png")
    (tree / "images" / "loop.png").symlink_to("link.png")
    (tree.parent / place).symlink_to(target)
    assert outcome(tree, "../images/link.png") == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("images", "linked/im.png"),
        ("../beside", "unsafe-path"),
        ("linked", "missing-image"),
        ("..", "unsafe-path"),
    ],
)
def test_a_link_to_a_folder(tree, target, expected):
    (tree / "linked").symlink_to(target)
    found = outcome(tree, "../linked/im.png")
    assert found in ({expected, "images/im.png"} if expected.endswith(".png") else {expected})


def test_a_root_that_is_a_link_is_fine(tree):
    link = tree.parent / "link"
    link.symlink_to("inside")
    assert outcome(link, "../images/im.png") == "images/im.png"


def test_a_label_file_that_is_a_link_out_of_the_root_is_unsafe(tree):
    write(tree.parent, good())
    (tree / "a.json").symlink_to("../a.json")
    (tree / "linked").symlink_to("..")
    for path in (tree / "a.json", tree / "linked" / "a.json", tree / "labels" / ".." / ".." / "a.json"):
        with pytest.raises(LabelFileError) as caught:
            read_annotations(path, tree)
        assert caught.value.reason == "unsafe-path"


def test_a_label_file_that_is_a_link_inside_is_read(tree):
    write(tree, good())
    (tree / "b.json").symlink_to("a.json")
    assert len(read_annotations(tree / "b.json", tree).annotations) == 1


def test_a_pipe_is_never_opened(tree):
    os.mkfifo(tree / "images" / "pipe.png")
    (tree / "images" / "link.png").symlink_to("pipe.png")
    assert outcome(tree, "../images/pipe.png") == "missing-image"
    assert outcome(tree, "../images/link.png") == "missing-image"


def test_a_folder_named_like_a_picture_is_missing(tree):
    (tree / "images" / "folder.png").mkdir()
    assert outcome(tree, "../images/folder.png") == "missing-image"


# -- what it is --------------------------------------------------------------------------------------


@pytest.mark.parametrize("extension", FORMATS)
def test_pictures_of_many_formats_are_read(tmp_path, extension):
    Image.fromarray(NOISE).save(tmp_path / f"a.{extension}")
    assert found_size(tmp_path, f"a.{extension}") == (W, H)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "I;16", "F", "CMYK"])
@pytest.mark.parametrize("extension", ["png", "tif"])
def test_pictures_of_many_modes_are_read(tmp_path, mode, extension):
    if extension == "png" and mode in ("F", "CMYK"):
        pytest.skip("PNG has no such mode")
    Image.new(mode, (W, H)).save(tmp_path / f"a.{extension}")
    assert found_size(tmp_path, f"a.{extension}") == (W, H)


@pytest.mark.parametrize("extension", FORMATS)
def test_a_wrong_extension_does_not_matter(tmp_path, extension):
    Image.fromarray(NOISE).save(tmp_path / f"a.{extension}")
    (tmp_path / f"a.{extension}").rename(tmp_path / "b.txt")
    assert found_size(tmp_path, "b.txt") == (W, H)


@pytest.mark.parametrize("extension", FORMATS)
def test_only_the_header_is_read(tmp_path, extension):
    Image.fromarray(NOISE).save(tmp_path / f"a.{extension}")
    content = (tmp_path / f"a.{extension}").read_bytes()
    if extension == "tif":
        assert content[4:8] == b"\x08\0\0\0"  # the header lies before the pixels
    (tmp_path / f"b.{extension}").write_bytes(content[:1000])
    assert found_size(tmp_path, f"b.{extension}") == (W, H)


@pytest.mark.parametrize("kind", ["VP8 ", "VP8L", "VP8X"])
def test_a_webp_of_each_kind_is_read(tmp_path, kind):
    options = {"VP8 ": {}, "VP8L": {"lossless": True}, "VP8X": {"exif": Image.Exif()}}[kind]
    if kind == "VP8X":
        options["exif"][0x010E] = "an aircraft"
    Image.fromarray(NOISE[:77, :91]).save(tmp_path / "a.webp", **options)
    assert (tmp_path / "a.webp").read_bytes()[12:16].decode() == kind
    assert found_size(tmp_path, "a.webp") == (91, 77)


@pytest.mark.parametrize("extension", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_applies(tmp_path, extension, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(NOISE).save(tmp_path / f"a.{extension}", exif=exif)
    found = read(tmp_path, {**named(f"a.{extension}"), "shapes": []})
    assert found.size_wh == ((H, W) if orientation >= 5 else (W, H))
    assert found.warnings == (() if orientation == 1 else ("exif-rotated",))
    wrong = {**named(f"a.{extension}"), "imageWidth": found.size_wh[1]}
    assert refusal(tmp_path, wrong).reason == "size-mismatch"


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(NOISE).save(tmp_path / "a.jpg", exif=exif)
    assert read(tmp_path, {**named("a.jpg"), "shapes": []}).warnings == ()


def test_broken_exif_does_not_make_a_picture_bad(tmp_path):
    Image.fromarray(NOISE).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    Image.fromarray(NOISE).save(tmp_path / "a.webp", exif=b"II*\0\xff\xff\xff\xff")
    assert found_size(tmp_path, "a.jpg") == found_size(tmp_path, "a.webp") == (W, H)


BAD = {
    "empty": b"",
    "text": b"this is no picture\n" * 9,
    "zeros": bytes(4096),
    "html": b"<!DOCTYPE html><html></html>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="160" height="128"/>',
    "pdf": b"%PDF-1.7\n" + bytes(99),
    "a PNG's first bytes": b"\x89PNG\r\n\x1a\n",
    "a PNG cut off in its header": png((W, H), None)[:24],
    "a PNG of no pixels": png((0, H), None),
    "a JPEG's first bytes": b"\xff\xd8\xff\xe0",
    "a JPEG without an end": b"\xff\xd8" + b"\xff" * (20 << 20),
    "a BMP's first bytes": b"BM" + bytes(8),
    "a TIFF without a directory": b"II*\0\xff\xff\xff\x7f",
    "a TIFF without a size": b"II*\0\x08\0\0\0\0\0\0\0\0\0",
    "a WebP cut off": b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0",
    "a WebP of another kind": b"RIFF\x20\0\0\0WEBPICCP" + bytes(40),
    "a sound": b"RIFF\x20\0\0\0WAVEfmt " + bytes(40),
    "a PPM of comments": b"P6 #" + b"x" * (20 << 20),
    "a GIF of comments": b"GIF89a\x0a\0\x0a\0\0\0\0!\xfe" + (b"\xff" + bytes(255)) * (20 << 12),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 160 128\n",
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_what_is_no_picture_is_a_bad_image(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    assert refusal(tmp_path, named("a.png")).reason == "bad-image"


def tiff(tags: list[tuple[int, int, int, int]]) -> bytes:
    rows = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + rows + bytes(4)


def test_a_header_that_points_at_gigabytes_is_a_bad_image(tmp_path):
    huge = tiff([(256, 3, 1, W), (257, 3, 1, H), (37724, 7, 2_000_000_000, 1000)])
    (tmp_path / "a.tif").write_bytes(huge)
    os.truncate(tmp_path / "a.tif", 3_000_000_000)  # a hole, no room is taken
    assert refusal(tmp_path, named("a.tif")).reason == "bad-image"


@pytest.mark.parametrize(
    ("size_wh", "fine"),
    [
        ((1, 1), True),
        ((13_400, 13_400), True),  # above Pillow's limit of 179 Mpx
        ((16_384, 16_384), True),  # 2^28
        ((1 << 28, 1), True),
        ((16_384, 16_385), False),
        ((60_000, 60_000), False),
        ((2**31 - 1, 2**31 - 1), False),
        ((2**31 - 1, 1), False),
    ],
)
@pytest.mark.parametrize("extension", ["png", "bmp", "ppm"])
def test_pictures_up_to_2_to_the_28_pixels_are_taken(tmp_path, size_wh, fine, extension):
    bmp = b"BM" + bytes(8) + struct.pack("<IIiiHHIIiiII", 54, 40, *size_wh, 1, 24, 0, 0, 0, 0, 0, 0)
    contents = {"png": png(size_wh, None), "bmp": bmp, "ppm": b"P5 %d %d 255\n" % size_wh}
    (tmp_path / f"a.{extension}").write_bytes(contents[extension])
    if fine:
        assert found_size(tmp_path, f"a.{extension}") == size_wh
    else:
        assert refusal(tmp_path, named(f"a.{extension}")).reason == "image-too-large"


def test_the_largest_webp_is_taken(tmp_path):
    start = b"RIFF\xff\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0"
    for side, reason in ((16_383, None), (16_385, "image-too-large")):
        (tmp_path / "a.webp").write_bytes(start + 2 * (side - 1).to_bytes(3, "little"))
        if reason:
            assert refusal(tmp_path, named("a.webp")).reason == reason
        else:
            assert found_size(tmp_path, "a.webp") == (side, side)


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ({"imageWidth": W, "imageHeight": H}, None),
        ({"imageWidth": W}, None),
        ({"imageHeight": H}, None),
        ({}, None),
        ({"imageWidth": H, "imageHeight": W}, "size-mismatch"),
        ({"imageWidth": W + 1, "imageHeight": H}, "size-mismatch"),
        ({"imageHeight": H - 1}, "size-mismatch"),
        ({"imageWidth": 0}, "size-mismatch"),
        ({"imageHeight": -H}, "size-mismatch"),
        ({"imageHeight": 10**300}, "size-mismatch"),
    ],
)
def test_a_stated_size_must_agree(tmp_path, stated, reason):
    content = named("im.png", **stated)
    if reason:
        assert refusal(tmp_path, content).reason == reason
    else:
        assert read(tmp_path, content).size_wh == (W, H)


def test_the_embedded_picture_is_no_picture(tmp_path):
    found = document(imagePath="gone.png", imageData="iVBORw0KGgo=")
    assert refusal(tmp_path, found).reason == "missing-image"
