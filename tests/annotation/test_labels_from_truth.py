"""A simulated clip's truth as Labelme files, against a drawn aircraft whose mask is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.annotation.labelme import read_labels
from vircraft.annotation.truth import labels_from_truth, write_truth_labels
from vircraft.errors import DatasetError
from vircraft.simulation.film import _infrared_truth, build_scene, keypoints_in, render_thermal
from vircraft.simulation.settings import ClipSettings
from vircraft.simulation.shading import SUPERSAMPLING
from vircraft.simulation.truth import ClipTruth, InfraredFrameTruth

# pycocotools 2.0.11 decodes masks in a way that NumPy 2 frowns upon
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

WH = (64, 48)
# A square whose corners lie on pixel edges: pixels 10..29 x 12..21.
SQUARE = np.array([[9.5, 11.5], [29.5, 11.5], [29.5, 21.5], [9.5, 21.5]])


def keypoints(*seen: tuple[str, float, float, int]) -> np.ndarray:
    values = np.zeros((len(KEYPOINTS), 3))
    for name, x, y, v in seen:
        values[KEYPOINTS.index(name)] = (x, y, v)
    return values


def frame(outline=(SQUARE,), box=(9.5, 11.5, 29.5, 21.5), points=None, index=0) -> InfraredFrameTruth:
    return InfraredFrameTruth(
        index=index,
        tick=index,
        time_s=0.0,
        visible_tick=0.0,
        visible_index=0.0,
        h_far=np.eye(3),
        h_aircraft=np.eye(3),
        keypoints_infrared=keypoints() if points is None else points,
        keypoints_visible=keypoints(),
        box=box,
        outline=tuple(outline),
        distance_m=300.0,
        focal_ir_px=1000.0,
        focal_vis_px=2000.0,
    )


def clip(*frames: InfraredFrameTruth) -> ClipTruth:
    return ClipTruth("a", 1, 0.0, 0.0, (), (), 25.0, 25.0, WH, WH, 0.0, 0.0, {}, frames, ())


def coco_pixels(document: dict) -> np.ndarray:
    polygons = [np.ravel(s["points"]).tolist() for s in document["shapes"] if s["shape_type"] == "polygon"]
    encoded = coco_mask.frPyObjects(polygons, document["imageHeight"], document["imageWidth"])
    return coco_mask.decode(coco_mask.merge(encoded)).astype(bool)


def written(tmp_path: Path, truth: InfraredFrameTruth) -> dict:
    assert write_truth_labels(tmp_path, "a_000000", clip(truth), 0)
    return json.loads((tmp_path / "labels" / "a_000000.json").read_text())


def test_outline_box_and_keypoints_share_one_group(tmp_path: Path):
    points = keypoints(("Head", 10, 15, 2), ("Tail", 29, 16, 1))
    document = written(tmp_path, frame(points=points))
    assert [(s["label"], s["shape_type"], s["flags"]) for s in document["shapes"]] == [
        ("aircraft", "polygon", {}),
        ("aircraft", "rectangle", {}),
        ("Head", "point", {"occluded": False, "invisible": False}),
        ("Tail", "point", {"occluded": True, "invisible": False}),
    ]
    assert {s["group_id"] for s in document["shapes"]} == {1}
    assert document["imagePath"] == "../infrared/a_000000.png"


def test_coordinates_count_pixel_edges_in_the_file(tmp_path: Path):
    document = written(tmp_path, frame(points=keypoints(("Head", 10, 15, 2))))
    assert document["shapes"][0]["points"] == [[10, 12], [30, 12], [30, 22], [10, 22]]
    assert document["shapes"][1]["points"] == [[10, 12], [30, 22]]
    assert document["shapes"][2]["points"] == [[10.5, 15.5]]


def test_pycocotools_paints_the_pixels_of_the_mask(tmp_path: Path):
    expected = np.zeros((WH[1], WH[0]), bool)
    expected[12:22, 10:30] = True
    np.testing.assert_array_equal(coco_pixels(written(tmp_path, frame())), expected)


def test_what_leaves_the_picture_is_cut_off(tmp_path: Path):
    far_right = SQUARE + np.array([45.0, 0])  # pixels 55..74, the picture ends after 63
    points = keypoints(("Head", 56, 15, 2), ("Tail", 70, 16, 2), ("Vertical", -3, 20, 1))
    document = written(tmp_path, frame([far_right], (54.5, 11.5, 74.5, 21.5), points))
    shapes = {s["label"] + s["shape_type"]: s["points"] for s in document["shapes"]}
    assert shapes["aircraftrectangle"] == [[55, 12], [64, 22]]
    assert max(x for x, _ in shapes["aircraftpolygon"]) == 64
    assert set(shapes) == {"aircraftpolygon", "aircraftrectangle", "Headpoint"}
    assert coco_pixels(document).sum() == 9 * 10


def test_an_aircraft_in_two_pieces_keeps_one_group(tmp_path: Path):
    document = written(tmp_path, frame([SQUARE, SQUARE + np.array([25.0, 0])], (9.5, 11.5, 54.5, 21.5)))
    polygons = [s for s in document["shapes"] if s["shape_type"] == "polygon"]
    assert len(polygons) == 2
    assert {s["group_id"] for s in document["shapes"]} == {1}
    assert coco_pixels(document).sum() == 2 * 200


@pytest.mark.parametrize(
    ("outline", "box"),
    [
        ([], None),
        ([SQUARE - 100], (-90.5, -88.5, -70.5, -78.5)),
        ([SQUARE * 1e-3 + 20], (20.0, 20.0, 20.03, 20.02)),  # smaller than any pixel
    ],
)
def test_a_picture_without_aircraft_is_labelled_as_empty(tmp_path: Path, outline, box):
    # a file without shapes says that nothing is there; no file would say that nobody has looked
    points = keypoints(("Head", 20, 20, 2))
    assert written(tmp_path, frame(outline, box, points))["shapes"] == []


def test_the_outline_gives_the_box_when_the_truth_has_none(tmp_path: Path):
    document = written(tmp_path, frame(box=None))
    assert document["shapes"][1]["points"] == [[10, 12], [30, 22]]


def test_labels_by_a_person_are_kept(tmp_path: Path):
    path = tmp_path / "labels" / "a_000000.json"
    path.parent.mkdir()
    path.write_text("drawn by a person")
    assert not write_truth_labels(tmp_path, "a_000000", clip(frame()), 0)
    assert path.read_text() == "drawn by a person"


@pytest.mark.parametrize("index", [-1, 1])
def test_a_frame_that_the_truth_does_not_know_is_an_error(tmp_path: Path, index: int):
    with pytest.raises(DatasetError, match=rf"1 infrared frames.*no frame {index}"):
        write_truth_labels(tmp_path, "a_000000", clip(frame()), index)


def test_the_same_truth_gives_the_same_bytes(tmp_path: Path):
    for name in ("one", "two"):
        write_truth_labels(tmp_path / name, "a_000000", clip(frame()), 0)
    one, two = ((tmp_path / n / "labels" / "a_000000.json").read_bytes() for n in ("one", "two"))
    assert one == two


@pytest.mark.slow
def test_outlines_of_the_simulator_cover_its_masks():
    settings = ClipSettings(
        name="a", seed=3, difficulty="bare", infrared_wh=(320, 256), visible_wh=(640, 360), size_share=0.6
    )
    scene = build_scene(settings)
    for instant_s in (0.0, 1.5, 3.0):
        _, shape = render_thermal(scene, instant_s)
        assert shape is not None
        labels = labels_from_truth(
            _infrared_truth(scene, 0, 0, instant_s, instant_s, shape), settings.infrared_wh, "a.png"
        )
        polygons = [(np.array(s.points) + 0.5).ravel().tolist() for s in labels.shapes if len(s.points) > 2]
        painted = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, 256, 320))).astype(bool)
        fine = np.zeros((256 * SUPERSAMPLING, 320 * SUPERSAMPLING), np.uint8)
        x, y = (v * SUPERSAMPLING for v in shape.corner)
        fine[y : y + shape.mask.shape[0], x : x + shape.mask.shape[1]] = shape.mask > 0
        covered = fine.reshape(256, SUPERSAMPLING, 320, SUPERSAMPLING).mean((1, 3)) >= 0.5
        assert (painted & covered).sum() / (painted | covered).sum() > 0.93
        assert painted.sum() == pytest.approx(covered.sum(), rel=0.04)
        expected = keypoints_in(scene, scene.rig.infrared(instant_s), instant_s)
        found = {s.label: s.points[0] for s in labels.shapes if s.shape_type == "point"}
        assert set(found) == {name for name, (_, _, v) in zip(KEYPOINTS, expected, strict=True) if v}
        for name, (x, y, v) in zip(KEYPOINTS, expected, strict=True):
            if v:
                assert found[name] == pytest.approx((x, y), abs=1e-3)


def test_the_file_is_read_back_as_it_was_meant(tmp_path: Path):
    written(tmp_path, frame(points=keypoints(("Head", 10, 15, 1))))
    found = read_labels(tmp_path / "labels" / "a_000000.json")
    assert found == labels_from_truth(
        frame(points=keypoints(("Head", 10, 15, 1))), WH, "../infrared/a_000000.png"
    )
