"""Labels drawn large and on contact sheets, in the library and as `vircraft show`."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from in_process import in_this_process
from labelled_folder import aircraft, all_nine, shape, write_labelled
from report_dataset import INFRARED_WH
from vircraft.annotation.keypoints import KEYPOINTS, Visibility
from vircraft.annotation.label_folder import find_labels
from vircraft.annotation.masks import from_pixels
from vircraft.annotation.picture import ABSENT, Annotation
from vircraft.errors import DatasetError, PictureError
from vircraft.report.contact_sheet import CELL_WH, COLUMNS, ROWS, draw_contact_sheets
from vircraft.report.drawing import BOX_BGR, keypoint_bgr, lifted
from vircraft.report.label_picture import PANEL_WIDTHS, describe, draw_labelled
from vircraft.report.labelled import LabelledPictures, file_pictures, load_picture
from vircraft.report.marks import DrawnAircraft, draw_aircraft, from_annotation, paint_mask
from vircraft.report.name_places import place_names
from vircraft.report.views import View, around, whole
from vircraft_cli.show import command

GREY = np.full((128, 160, 3), 120, np.uint8)


def annotation(**changes) -> Annotation:
    points = [ABSENT] * 9
    points[0], points[2] = (40.0, 50.0, Visibility.VISIBLE), (90.0, 50.0, Visibility.OCCLUDED)
    values = {
        "group_id": 1,
        "box_xyxy": (30.0, 40.0, 100.0, 60.0),
        "area": 1400.0,
        "keypoints": tuple(points),
        "polygons": (((30.0, 40.0), (100.0, 40.0), (100.0, 60.0), (30.0, 60.0)),),
    }
    return Annotation(**{**values, **changes})


# Where things come to lie


def test_pixel_centres_stay_pixel_centres_when_enlarged():
    view = whole((160, 128), (640, 512))
    assert view.scale == 4
    assert view((0.0, 0.0)).tolist() == [1.5, 1.5]  # the middle of the first 4 x 4 pixels
    assert view((-0.5, -0.5)).tolist() == [-0.5, -0.5]


def test_a_view_shows_the_pixels_that_it_says():
    ramp = np.arange(160, dtype=np.uint8)[None].repeat(128, 0)
    view = View((40, 0, 80, 32), (400, 320))
    shown = view.render(ramp)
    for column in (41.0, 60.0, 78.0):
        x, y = view((column, 10.0))
        assert shown[round(y), round(x)] == pytest.approx(column, abs=1)


boxes = st.tuples(st.floats(0, 600), st.floats(0, 450), st.floats(1, 400), st.floats(1, 300))


@given(boxes, st.sampled_from([(640, 512), (1920, 1080), (300, 700)]))
def test_a_view_around_a_box_shows_all_of_it(box, size_wh):
    x0, y0 = min(box[0], size_wh[0] - 2), min(box[1], size_wh[1] - 2)
    x1, y1 = min(x0 + box[2], size_wh[0] - 0.5), min(y0 + box[3], size_wh[1] - 0.5)
    view = around((x0, y0, x1, y1), size_wh, (640, 480))
    left, top, right, bottom = view.window
    assert 0 <= left < right <= size_wh[0]
    assert 0 <= top < bottom <= size_wh[1]
    corners = view([(x0, y0), (x1, y1)])
    assert (corners >= -1.5 * max(1, view.scale)).all()
    assert (corners <= np.array([640, 480]) + 1.5 * max(1, view.scale)).all()


# Marks


def test_visible_keypoints_are_discs_and_occluded_ones_rings():
    view = whole((160, 128), (640, 512))
    picture = draw_aircraft(view.render(GREY), [from_annotation(annotation())], view)

    def at(x: float, y: float) -> list[int]:
        column, row = view((x, y))
        return picture[round(row) + 1, round(column)].tolist()  # beside the bone

    assert at(40, 50) == list(keypoint_bgr("Head"))
    assert at(90, 50) != list(keypoint_bgr("Tail"))
    ring = [at(90 + r / 4, 50) for r in range(8)]
    assert list(keypoint_bgr("Tail")) in ring


def test_a_mask_with_a_hole_is_tinted_around_the_hole():
    pixels = np.ones((20, 40), bool)
    pixels[5:15, 10:30] = False
    rle = from_pixels(pixels, (50, 60), (160, 128))
    drawn = from_annotation(annotation(polygons=(), rle=rle, box_xyxy=(49.5, 59.5, 89.5, 79.5)))
    painted = paint_mask([drawn], whole((160, 128), (160, 128)))
    expected = np.zeros((128, 160), bool)
    expected[60:80, 50:90] = pixels
    np.testing.assert_array_equal(painted > 0, expected)


def test_the_description_names_what_is_not_visible():
    text = describe(from_annotation(annotation()))
    assert "box 70 x 20 px" in text
    assert "1 visible, 1 occluded (Tail), 7 invisible (Vertical, Left_front" in text
    assert "crowd" in describe(DrawnAircraft(1, box_xyxy=(0, 0, 1, 1), crowd=True))


places = st.lists(st.tuples(st.floats(0, 639), st.floats(0, 479)), min_size=1, max_size=9)


@settings(max_examples=25, deadline=None)
@given(places)
def test_names_stay_on_the_canvas_whatever_the_points(points):
    named = dict(zip(KEYPOINTS, points, strict=False))
    rects = place_names(named, dict.fromkeys(named, (80, 18)), np.zeros((480, 640), np.uint8))
    assert set(rects) == set(named)
    for left, top, right, bottom in rects.values():
        assert 0 <= left < right <= 640
        assert 0 <= top < bottom <= 480


def test_names_hide_neither_the_aircraft_nor_one_another():
    covered = np.zeros((480, 640), np.uint8)
    covered[200:280, 120:520] = 255
    points = {name: (140.0 + 45 * n, 240.0) for n, name in enumerate(KEYPOINTS)}
    rects = list(place_names(points, dict.fromkeys(points, (80, 18)), covered).values())
    canvas = np.zeros((480, 640), int)
    for left, top, right, bottom in rects:
        canvas[round(top) : round(bottom), round(left) : round(right)] += 1
    assert canvas.max() == 1
    assert not (canvas.astype(bool) & (covered > 0)).any()


def test_no_room_for_a_name_is_no_error():
    assert place_names({"Head": (5.0, 5.0)}, {"Head": (80, 18)}, np.zeros((10, 10), np.uint8)) == {}


# Pictures


def test_a_small_aircraft_gets_a_panel_of_its_own(tmp_path: Path):
    small = aircraft((20, 20, 40, 30), all_nine(21, 22, 2), 1)
    write_labelled(tmp_path, "one", small)
    write_labelled(tmp_path, "two", small + aircraft((100, 60, 130, 75), all_nine(101, 62, 3), 2))
    write_labelled(tmp_path, "large", aircraft((5, 5, 155, 120), all_nine(20, 50, 12)))
    found = find_labels(tmp_path)
    widths = {p.stem: draw_labelled(file_pictures(found, p)).shape[1] for p in found.files}
    assert widths["large"] == PANEL_WIDTHS[0]
    assert widths["one"] == 2 * PANEL_WIDTHS[1] + 8
    assert widths["two"] == 3 * PANEL_WIDTHS[2] + 16


def test_the_marks_are_on_the_aircraft_in_the_enlarged_panel(tmp_path: Path):
    picture = np.zeros((128, 160, 3), np.uint8)
    picture[20:30, 20:40] = 200  # the aircraft, and nothing else
    shapes = aircraft((20, 20, 40, 30))
    path = write_labelled(tmp_path, "one", shapes, picture=picture)
    drawn = draw_labelled(file_pictures(find_labels(tmp_path), path), names=False)
    panel = drawn[-640:, -800:]
    bright = panel.min(-1) > 100
    ys, xs = np.nonzero(bright)
    oy, ox = np.nonzero(np.abs(panel.astype(int) - BOX_BGR).max(-1) < 25)
    assert (xs.min(), xs.max()) == pytest.approx((ox.min(), ox.max()), abs=12)
    assert (ys.min(), ys.max()) == pytest.approx((oy.min(), oy.max()), abs=12)


def test_a_dark_picture_is_brightened_and_a_bright_one_left_alone():
    dark, factor = lifted(np.full((64, 64, 3), 40, np.uint8))
    assert (factor, int(dark.max())) == (pytest.approx(3.75), 150)
    bright = np.full((64, 64, 3), 140, np.uint8)
    assert lifted(bright)[0] is bright


def test_16_bit_and_turned_pictures_are_shown_as_they_are_meant(tmp_path: Path):
    deep = (np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) + 9000).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    shown = load_picture(tmp_path / "deep.png")
    assert (shown.dtype, shown.shape, int(shown.max()) - int(shown.min())) == (np.uint8, (64, 64, 3), 255)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter
    Image.new("RGB", (40, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert load_picture(tmp_path / "turned.jpg").shape == (40, 20, 3)


def test_what_is_no_regular_picture_is_an_error_and_never_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "text.png").write_text("no picture")
    for name, reason in (("pipe", "missing-image"), ("text", "bad-image"), ("none", "missing-image")):
        with pytest.raises(PictureError) as caught:
            load_picture(tmp_path / f"{name}.png")
        assert caught.value.reason == reason


def test_contact_sheets_hold_so_many_pictures_and_no_more(tmp_path: Path):
    items = [LabelledPictures(f"p{n}", (("p", GREY),), None) for n in range(COLUMNS * ROWS + 1)]
    first, second = draw_contact_sheets(items)
    assert first.shape[1] == second.shape[1] == COLUMNS * CELL_WH[0] + (COLUMNS - 1) * 8 + 16
    assert first.shape[0] > 4 * second.shape[0]
    assert list(draw_contact_sheets([])) == []


def test_a_rejected_pair_has_room_beside_pairs_of_two_pictures():
    two = LabelledPictures("two", (("infrared", GREY), ("visible", GREY)), None)
    one = LabelledPictures("one", (("infrared", GREY),), None)
    for order in ([one, two], [two, one], [one, two, one]):
        (page,) = draw_contact_sheets(order)
        assert page.shape[1] == 2 * (2 * CELL_WH[0] + 8) + 8 + 16


# The command


def run(*arguments: object) -> Result:
    return in_this_process(command, *arguments)


@pytest.fixture
def dataset(make_dataset) -> Path:
    root = make_dataset({"a": ["accepted", "accepted", "rejected"], "b": ["accepted"]})
    for pair in ("a_000000", "a_000010", "b_000000"):
        write_labelled(
            root / "labels",
            pair,
            aircraft((20, 20, 100, 80), all_nine(25, 40)),
            wh=INFRARED_WH,
            image=f"../infrared/{pair}.png",
        )
    return root


def test_labels_of_a_pair_are_drawn_on_either_picture(dataset: Path, tmp_path: Path):
    for on in ("infrared", "visible", "both"):
        out = tmp_path / f"{on}.png"
        assert run(dataset, "a_000000", "--labels", "--on", on, "-o", out).return_value == 0
        assert cv2.imread(str(out)).shape[1] == (2 * PANEL_WIDTHS[1] + 8 if on == "both" else PANEL_WIDTHS[0])


def test_labels_are_drawn_on_pictures_of_a_folder(dataset: Path, tmp_path: Path):
    fused = tmp_path / "fused"
    fused.mkdir()
    cv2.imwrite(
        str(fused / "a_000000.jpg"), np.full((2 * INFRARED_WH[1], 2 * INFRARED_WH[0], 3), 99, np.uint8)
    )
    assert run(dataset, "a_000000", "--on", fused, "-o", tmp_path / "x.png").return_value == 0
    cv2.imwrite(str(fused / "a_000000.jpg"), np.full((50, 400, 3), 99, np.uint8))
    with pytest.raises(PictureError, match="400x50"):
        run(dataset, "a_000000", "--on", fused, "-o", tmp_path / "x.png")
    with pytest.raises(PictureError, match="holds no picture a_000010"):
        run(dataset, "a_000010", "--on", fused, "-o", tmp_path / "x.png")


def test_a_clip_or_everything_is_drawn_into_a_folder_and_unlabelled_pairs_are_counted(
    dataset: Path, tmp_path: Path
):
    result = run(dataset, "--clip", "a", "--labels", "-o", tmp_path / "clip")
    assert sorted(p.name for p in (tmp_path / "clip").iterdir()) == ["a_000000.png", "a_000010.png"]
    assert "1 pair has no labels" in result.stderr
    lines = run(dataset, "--all", "--labels", "-o", tmp_path / "all", "--json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["a_000000", "a_000010", "b_000000"]


def test_a_contact_sheet_shows_many_pairs_in_one_picture(dataset: Path, tmp_path: Path):
    result = run(dataset, "--all", "--contact", "-o", tmp_path / "review.png", "--json")
    assert json.loads(result.stdout)["pictures"] == ["a_000000", "a_000010", "b_000000"]
    run(dataset, "--all", "--contact", "-o", tmp_path / "folder")
    assert (tmp_path / "folder" / "contact_001.png").read_bytes() == (tmp_path / "review.png").read_bytes()


def test_several_pairs_without_labels_option_are_sheets(dataset: Path, tmp_path: Path):
    run(dataset, "a_000000", "b_000000", "-o", tmp_path / "sheets")
    assert sorted(p.name for p in (tmp_path / "sheets").iterdir()) == ["a_000000.png", "b_000000.png"]


def test_several_pictures_need_a_folder(dataset: Path, tmp_path: Path):
    for output in ([], ["-o", str(tmp_path / "x.png")]):
        result = CliRunner().invoke(command, [str(dataset), "a_000000", "b_000000", "--labels", *output])
        assert (result.exit_code, "-o FOLDER" in result.output) == (2, True)


def test_a_plain_folder_takes_label_files_and_pictures(tmp_path: Path):
    root = tmp_path / "plain"
    write_labelled(root, "deep/one", aircraft((20, 20, 60, 40)))
    write_labelled(root, "two", aircraft((20, 20, 60, 40)))
    for target in (root / "deep" / "one.json", root / "deep" / "one.png", "deep/one", "one.png"):
        out = tmp_path / "out.png"
        assert run("--root", root, target, "-o", out).output.strip() == str(out)
        out.unlink()
    run(root, "--all", "-o", tmp_path / "all")  # a folder that is no dataset needs no --root
    assert (tmp_path / "all" / "deep" / "one.png").is_file()
    assert (tmp_path / "all" / "two.png").is_file()


def test_labels_that_break_a_rule_are_drawn_and_named(tmp_path: Path):
    root = tmp_path / "plain"
    write_labelled(root, "good", aircraft((20, 20, 60, 40)))
    nose = [*aircraft((20, 20, 60, 40)), shape("Nose", "point", [[30, 30]], 1)]
    write_labelled(root, "nose", nose)
    (root / "lost.json").write_text("{")
    result = run(root, "--all", "--contact", "-o", tmp_path / "c.png", "--json")
    assert result.return_value == 3
    assert "[unknown-label]" in result.stderr
    assert "left out" in result.stderr
    assert json.loads(result.stdout)["pictures"] == ["good", "nose"]
    broken = run(root, "nose", "-o", tmp_path / "n.png", "--json")
    assert json.loads(broken.stdout)["problem"] == "unknown-label"


def test_labels_that_break_a_rule_do_not_lead_to_pictures_outside(tmp_path: Path):
    root = tmp_path / "plain"
    write_labelled(tmp_path, "secret", [])
    write_labelled(root, "a", aircraft((20, 20, 60, 40)), image="../secret.png")
    with pytest.raises(PictureError) as caught:
        run(root, "a", "-o", tmp_path / "x.png")
    assert caught.value.reason == "unsafe-path"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ([], "name a dataset"),
        (["{}"], "name a pair"),
        (["--root", "{}/labels", "--clip", "a"], "needs a dataset"),
    ],
)
def test_usage_errors_say_what_to_name(dataset: Path, arguments: list[str], hint: str):
    result = CliRunner().invoke(command, [a.format(dataset) for a in arguments])
    assert (result.exit_code, hint in result.output) == (2, True)


# Where a picture may go


def test_a_picture_drawn_beside_its_source_has_a_name_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = write_labelled(tmp_path, "one", aircraft((20, 20, 60, 40)))
    before = path.with_suffix(".png").read_bytes()
    monkeypatch.chdir(tmp_path)
    assert run("--root", ".", "one.json").output.strip() == "one_labels.png"
    assert run("--root", ".", "one.png", "--json").return_value == 0  # a drawing may be drawn again
    assert path.with_suffix(".png").read_bytes() == before


def test_a_pair_drawn_among_the_pictures_of_the_dataset_has_a_name_of_its_own(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
):
    picture = dataset / "infrared" / "a_000000.png"
    before = picture.read_bytes()
    monkeypatch.chdir(picture.parent)
    assert run("..", "a_000000").output.strip() == "a_000000_pair.png"
    assert run("..", "a_000000", "--labels").output.strip() == "a_000000_labels.png"
    assert picture.read_bytes() == before


def test_no_picture_of_a_dataset_is_written_over_or_made_up(dataset: Path, tmp_path: Path):
    link = tmp_path / "link"
    link.symlink_to(dataset / "infrared")
    shown = [("a_000000",), ("a_000000", "--labels"), ("a_000020",)]  # the last was rejected: has no picture
    for targets in shown:
        for output in (dataset / "infrared", dataset / "visible" / f"{targets[0]}.png", link):
            before = {path: path.read_bytes() for path in dataset.rglob("*.png")}
            with pytest.raises(DatasetError, match="-o"):
                run(dataset, *targets, "-o", output)
            assert {path: path.read_bytes() for path in dataset.rglob("*.png")} == before


def test_only_what_was_drawn_before_is_written_over(tmp_path: Path):
    root, mine = tmp_path / "plain", tmp_path / "mine.png"
    path = write_labelled(root, "one", aircraft((20, 20, 60, 40)))
    write_labelled(root, "two", aircraft((20, 20, 60, 40)))
    mine.write_bytes(b"precious")
    (root / "link.png").symlink_to("one.png")
    os.link(root / "one.png", root / "hard.png")
    for output in (mine, root, root / "two.png", root / "link.png", root / "hard.png"):
        with pytest.raises(DatasetError, match="nothing is written there"):
            run("--root", root, path, "-o", output)
    assert mine.read_bytes() == b"precious"
    mine.write_bytes(b"")  # as mktemp leaves it
    for _ in range(2):
        assert run("--root", root, path, "-o", mine).return_value == 0
    assert cv2.imread(str(mine)) is not None


def test_a_drawing_that_was_labelled_is_a_source_like_any_other(tmp_path: Path):
    path = write_labelled(tmp_path, "one", aircraft((20, 20, 60, 40)))
    drawn = tmp_path / "drawn" / "two.png"
    run("--root", tmp_path, path, "-o", drawn)
    wh = cv2.imread(str(drawn)).shape[1::-1]
    write_labelled(drawn.parent, "two", aircraft((20, 20, 60, 40)), wh=wh, image="two.png")
    write_labelled(drawn.parent, "other", aircraft((20, 20, 60, 40)), wh=wh, image="two.png")
    before = drawn.read_bytes()
    for name in ("two", "other"):
        with pytest.raises(DatasetError, match=r"that labels are drawn on|is labelled in two"):
            run("--root", drawn.parent, name, "-o", drawn)
    with pytest.raises(DatasetError, match=r"that labels are drawn on|is labelled in two"):
        run("--root", tmp_path, path, "-o", drawn)
    assert drawn.read_bytes() == before


def undecodable(path: Path, name: str) -> Path:
    """Give a label file another name; its picture keeps its own, as cv2.imwrite dies of such names."""
    return path.rename(path.with_name(f"{name}.json"))


def test_names_that_are_no_utf_8_are_printed_and_escaped(tmp_path: Path):
    name = os.fsdecode(b"b\xffd")
    path = undecodable(write_labelled(tmp_path / "plain", "b", aircraft((20, 20, 60, 40))), name)
    out = tmp_path / "out"
    out.mkdir()
    assert run("--root", path.parent, path, "-o", out).output.strip() == f"{out}/b\\udcffd.png"
    assert (out / f"{name}.png").is_file()
    lines = run("--root", path.parent, "--all", "-o", out, "--json").output.splitlines()
    assert [json.loads(line)["name"] for line in lines] == [name]


def test_many_masks_on_a_large_picture_take_little_memory():
    size_wh, count = (4000, 3000), 200
    tracemalloc.start()
    drawn = [
        from_annotation(
            annotation(polygons=(), rle=from_pixels(np.ones((6, 9), bool), (19 * n, 2990 - 14 * n), size_wh))
        )
        for n in range(count)
    ]
    view = whole(size_wh, (1280, 960))
    draw_aircraft(np.zeros((960, 1280, 3), np.uint8), drawn, view)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


@given(
    st.tuples(st.integers(1, 30), st.integers(1, 20)),
    st.tuples(st.integers(0, 129), st.integers(0, 107)),
    st.floats(0.2, 6.0),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_a_mask_is_painted_where_its_pixels_are_shown(wh, corner_xy, scale, seed):
    pixels = cv2.resize(np.random.default_rng(seed).random((4, 6)), wh) > 0.4
    pixels[0, 0] = pixels[-1, -1] = True
    rle = from_pixels(pixels, corner_xy, (160, 128))
    view = View((8, 4, 158, 124), (round(150 * scale), round(120 * scale)))
    painted = paint_mask([from_annotation(annotation(polygons=(), rle=rle))], view)
    full = np.zeros((128, 160), np.uint8)
    full[corner_xy[1] : corner_xy[1] + wh[1], corner_xy[0] : corner_xy[0] + wh[0]] = pixels
    shown = view.render(full * 255)
    assert not painted[cv2.dilate(shown, np.ones((5, 5))) == 0].any()
    inside = cv2.erode(shown, np.ones((5, 5)), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    assert painted[inside > 200].all()
