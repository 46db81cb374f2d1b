"""Every reader sees what was drawn: points and boxes to 0.01 px, masks to the pixel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from exports import Export, export, kind, reading  # noqa: F401
from reading import Reading, SeenInstance, distance, seen_for
from truth import BONES, KEYPOINTS, Instance

TOLERANCE_PX = 0.01


def pairs(export: Export, reading: Reading) -> Iterator[tuple[str, Instance, SeenInstance]]:  # noqa: F811
    """Yield every aircraft that was drawn with what the reader saw of it."""
    for picture in export.pictures:
        for number, instance in enumerate(picture.instances):
            seen = seen_for(instance, reading.pictures[picture.file_name])
            yield f"{picture.file_name}, aircraft {number}", instance, seen


def skip_if_it_cannot(reading: Reading, what: str) -> None:  # noqa: F811
    """Report what a reader has no room for."""
    if what in reading.cannot:
        pytest.skip(f"{reading.reader} cannot show {what}: {reading.cannot[what]}")


def test_every_picture_is_found_where_it_lies(export, reading):  # noqa: F811
    assert set(reading.pictures) == {picture.file_name for picture in export.pictures}
    for seen in reading.pictures.values():
        assert Path(seen.path).is_file()


def test_sizes_agree(export, reading):  # noqa: F811
    skip_if_it_cannot(reading, "size")
    for picture in export.pictures:
        assert reading.pictures[picture.file_name].size_wh == picture.size_wh


def test_every_aircraft_is_there_once(export, reading):  # noqa: F811
    for picture in export.pictures:
        assert len(reading.pictures[picture.file_name].instances) == len(picture.instances), picture.file_name


def test_boxes_agree(export, reading):  # noqa: F811
    for where, instance, seen in pairs(export, reading):
        assert distance(seen.box_xywh, instance.box_xywh) <= TOLERANCE_PX, where


def test_keypoints_and_visibility_agree(export, kind, reading):  # noqa: F811
    skip_if_it_cannot(reading, "keypoints")
    if kind == "instances" and reading.keypoint_names is None:
        pytest.skip(f"{reading.reader}: instances_SPLIT.json is without keypoints")
    for where, instance, seen in pairs(export, reading):
        assert seen.keypoints is not None, where
        for name, drawn, point in zip(KEYPOINTS, instance.keypoints, seen.keypoints, strict=True):
            assert point[2] == drawn[2], f"{where}, {name}"
            assert distance(point[:2], drawn[:2]) <= TOLERANCE_PX, f"{where}, {name}"


def test_masks_agree_to_the_pixel(export, reading):  # noqa: F811
    drawn_pixels = known_pixels = 0
    for where, instance, seen in pairs(export, reading):
        assert (seen.mask is None) == (instance.mask is None), where
        if instance.mask is None or seen.mask is None:
            continue
        known = np.ones_like(instance.mask) if seen.known is None else seen.known
        assert not ((seen.mask ^ instance.mask) & known).any(), where
        drawn_pixels += instance.mask.sum()
        known_pixels += (instance.mask & known).sum()
    assert known_pixels >= 0.5 * drawn_pixels  # else a reader that knows nothing would agree


def test_polygons_agree(export, reading):  # noqa: F811
    skip_if_it_cannot(reading, "polygons")
    for where, instance, seen in pairs(export, reading):
        assert len(seen.polygons or ()) == len(instance.polygons), where
        for drawn, polygon in zip(instance.polygons, seen.polygons or (), strict=True):
            assert len(polygon) == len(drawn), where
            for vertex in polygon:  # clipping may start the walk at another vertex
                assert min(distance(vertex, other) for other in drawn) <= TOLERANCE_PX, where


def test_crowds_agree(export, reading):  # noqa: F811
    for where, instance, seen in pairs(export, reading):
        assert seen.crowd == instance.crowd, where


def test_areas_agree(export, reading):  # noqa: F811
    skip_if_it_cannot(reading, "area")
    for where, instance, seen in pairs(export, reading):
        assert seen.area == pytest.approx(instance.area, abs=1e-6), where


def test_the_category_has_its_name_keypoints_and_skeleton(kind, reading):  # noqa: F811
    assert reading.classes == ("aircraft",)
    if kind == "person_keypoints" and "keypoints" not in reading.cannot:
        assert reading.keypoint_names == KEYPOINTS
        assert reading.bones == BONES
