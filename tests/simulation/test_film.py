"""A filmed clip: what the files hold is what the truth says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from simulated import Filmed, small
from vircraft.registration.warp import apply_homography
from vircraft.simulation.film import ClipFiles, build_scene, film_clip, render_thermal, render_visible
from vircraft.simulation.rig import h_ir_from_vis
from vircraft.simulation.settings import LIGHTS
from vircraft.simulation.shading import silhouette


def decoded(path: Path) -> tuple[list[float], list[np.ndarray]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [float(f.pts * f.time_base) for f in frames], [f.to_ndarray(format="gray") for f in frames]


def test_both_files_hold_the_frames_of_the_truth_at_its_times(filmed: Filmed) -> None:
    for path, frames, size in (
        (filmed.files.infrared, filmed.truth.infrared_frames, (256, 320)),
        (filmed.files.visible, filmed.truth.visible_frames, (360, 640)),
    ):
        times, pictures = decoded(path)
        assert len(times) == len(frames)
        assert pictures[0].shape == size
        np.testing.assert_allclose(times, [f.time_s for f in frames], atol=2e-4)
        assert [f.index for f in frames] == list(range(len(frames)))


def test_a_lost_frame_leaves_its_slot_empty(filmed: Filmed) -> None:
    times, _ = decoded(filmed.files.infrared)
    slots = np.round((np.array(times) - filmed.truth.infrared_start_s) * 25).astype(int)
    assert sorted(set(range(25)) - set(slots.tolist())) == [4, 5, 17]
    times, _ = decoded(filmed.files.visible)
    slots = np.round(np.array(times) * 30).astype(int)
    assert sorted(set(range(30)) - set(slots.tolist())) == [9]


def test_files_are_h264_with_b_frames_in_yuv420p(filmed: Filmed) -> None:
    for path in (filmed.files.infrared, filmed.files.visible):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert stream.codec_context.pix_fmt == "yuv420p"
            assert any(f.pict_type == av.video.frame.PictureType.B for f in container.decode(stream))


def test_infrared_times_map_onto_the_visible_clock_by_offset_and_drift(filmed: Filmed) -> None:
    truth = filmed.truth
    for f in truth.infrared_frames:
        assert f.visible_tick == pytest.approx(3.4 + f.tick * 30 / 25 * (1 + 400e-6))
        on_visible_s = f.time_s * (1 + truth.drift_ppm * 1e-6) + truth.offset_s
        assert (on_visible_s - truth.visible_start_s) * 30 == pytest.approx(f.visible_tick)
        lost_before = sum(tick < f.visible_tick for tick in truth.lost_visible)
        if abs(f.visible_tick - 9) > 1 and f.visible_tick < 29:
            assert f.visible_index == pytest.approx(f.visible_tick - lost_before)


def test_the_aircraft_homography_carries_visible_keypoints_onto_infrared_ones(filmed: Filmed) -> None:
    for f in filmed.truth.infrared_frames:
        both = (f.keypoints_infrared[:, 2] > 0) & (f.keypoints_visible[:, 2] > 0)
        assert both.sum() >= 7
        carried = apply_homography(f.h_aircraft, f.keypoints_visible[both, :2])
        error = np.linalg.norm(carried - f.keypoints_infrared[both, :2], axis=1)
        assert error.max() < 0.5


def test_keypoints_of_whole_visible_ticks_agree_between_the_two_lists() -> None:
    scene = build_scene(small(offset_frames=2.0, duration_s=0.4))
    for tick in (0, 3):
        t = float(scene.clock.infrared.instants_s[tick])
        assert t == pytest.approx(scene.clock.visible.instants_s[tick + 2])


def test_the_outline_covers_the_keypoints_that_are_seen_and_the_box_bounds_it(filmed: Filmed) -> None:
    for f in filmed.truth.infrared_frames:
        assert f.box is not None
        inside = np.zeros(256 * 320, bool).reshape(256, 320)
        canvas = inside.astype(np.uint8)
        cv2.fillPoly(canvas, [np.round(p * 8).astype(np.int32) for p in f.outline], 1, cv2.LINE_8, 3)
        near = cv2.dilate(canvas, np.ones((5, 5), np.uint8))
        for x, y, v in f.keypoints_infrared:
            if v > 0:
                assert near[round(y), round(x)]
        points = np.concatenate(f.outline)
        assert f.box == (*points.min(0), *points.max(0))


def test_the_outline_is_the_rendered_aircraft(filmed: Filmed) -> None:
    """Heat the aircraft alone: the pixels that change are those inside the outline."""
    f = filmed.truth.infrared_frames[10]
    t = float(filmed.scene.clock.infrared.instants_s[10])
    flat = replace(filmed.scene, far_thermal=np.full_like(filmed.scene.far_thermal, -200.0))
    degrees, _ = render_thermal(flat, t)
    drawn = np.zeros(degrees.shape, np.uint8)
    cv2.fillPoly(drawn, [np.round(p * 16).astype(np.int32) for p in f.outline], 1, cv2.LINE_8, 4)
    hot = degrees > -100
    overlap = (hot & (drawn > 0)).sum() / (hot | (drawn > 0)).sum()
    assert overlap > 0.9


def test_the_silhouettes_of_the_two_views_agree_under_the_aircraft_homography(filmed: Filmed) -> None:
    scene, f = filmed.scene, filmed.truth.infrared_frames[12]
    t = float(scene.clock.infrared.instants_s[12])
    masks = []
    for camera in (scene.rig.infrared(t), scene.rig.visible(t)):
        shape = silhouette(scene.aircraft, scene.flight.place(t), scene.flight.world_from_body(t), camera)
        assert shape is not None
        full = np.zeros(camera.size_wh[::-1], np.float32)
        small_mask = cv2.resize(shape.mask, shape.size_wh, interpolation=cv2.INTER_AREA)
        (x, y), (w, h) = shape.corner, shape.size_wh
        full[y : y + h, x : x + w] = small_mask / 255
        masks.append(full)
    carried = cv2.warpPerspective(masks[1], f.h_aircraft, (320, 256), flags=cv2.INTER_LINEAR)
    both, either = np.minimum(masks[0], carried).sum(), np.maximum(masks[0], carried).sum()
    assert both / either > 0.93
    moments = [cv2.moments(m) for m in (masks[0], carried)]
    middles = [np.array([m["m10"], m["m01"]]) / m["m00"] for m in moments]
    assert np.linalg.norm(middles[0] - middles[1]) < 0.15


def test_the_far_homography_carries_the_background(filmed: Filmed) -> None:
    """Give both cameras the same far scene: the warped visible picture is the infrared one."""
    scene = filmed.scene
    t = float(scene.clock.infrared.instants_s[12])
    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.normal(0, 900, scene.far_thermal.shape).astype(np.float32), (0, 0), 4)
    texture += 120
    shared = replace(
        scene,
        far_thermal=texture,
        far_visible=np.dstack([np.clip(texture, 0, 255).astype(np.uint8)] * 3),
    )
    degrees, shape = render_thermal(shared, t)
    assert shape is not None
    visible = render_visible(shared, t)[..., 0].astype(np.float32)
    carried = cv2.warpPerspective(visible, filmed.truth.infrared_frames[12].h_far, (320, 256))
    band = slice(0, max(shape.corner[1] - 12, 40))  # above the aircraft
    shift, response = cv2.phaseCorrelate(
        np.clip(degrees[band], 0, 255).astype(np.float64), carried[band].astype(np.float64)
    )
    assert response > 0.3
    assert np.hypot(*shift) < 0.3


def test_the_far_homography_between_two_frames_of_one_instant_is_that_of_the_infrared_frame() -> None:
    settings = small(offset_frames=2.0, duration_s=0.4)
    scene = build_scene(settings)
    t = float(scene.clock.infrared.instants_s[3])
    infrared, visible = scene.rig.infrared(t), scene.rig.visible(t)
    between = np.linalg.inv(scene.canvas.directions(infrared)) @ scene.canvas.directions(visible)
    np.testing.assert_allclose(between / between[2, 2], h_ir_from_vis(infrared, visible), atol=1e-6)


def test_between_frames_of_different_instants_the_far_scene_has_moved_as_the_head_turned(
    filmed: Filmed,
) -> None:
    truth = filmed.truth
    frame = truth.infrared_frames[10]
    middle = np.array([[160.0, 128.0]])
    in_visible = apply_homography(np.linalg.inv(frame.h_far), middle)
    before, after = int(frame.visible_index), int(frame.visible_index) + 1
    moved = [apply_homography(truth.h_far_between(10, k), in_visible)[0] - middle[0] for k in (before, after)]
    share = frame.visible_index - before
    # between the two frames the head turns evenly, so the far scene at the instant lies between them
    np.testing.assert_allclose((1 - share) * moved[0] + share * moved[1], 0, atol=0.35)
    assert np.linalg.norm(moved[1] - moved[0]) > 1


def test_the_same_seed_gives_the_same_truth_and_the_same_pixels(filmed: Filmed, tmp_path: Path) -> None:
    film_clip(filmed.settings, tmp_path)
    again = ClipFiles.of(tmp_path, "small")
    assert again.truth.read_bytes() == filmed.files.truth.read_bytes()
    for a, b in ((again.infrared, filmed.files.infrared), (again.visible, filmed.files.visible)):
        for one, other in zip(decoded(a)[1], decoded(b)[1], strict=True):
            np.testing.assert_array_equal(one, other)


def test_another_seed_gives_other_pixels() -> None:
    one, other = (render_visible(build_scene(small(seed=s, duration_s=0.2)), 0.1) for s in (1, 2))
    assert np.abs(one.astype(int) - other).mean() > 3


def test_night_is_darker_than_dusk_and_dusk_than_day_but_the_aircraft_stays_warm_in_infrared() -> None:
    brightness, stands_out = [], []
    for light in LIGHTS:
        scene = build_scene(small(light=light, difficulty="plain", duration_s=0.2))
        brightness.append(float(render_visible(scene, 0.1).mean()))
        degrees, shape = render_thermal(scene, 0.1)
        assert shape is not None
        (x, y), (w, h) = shape.corner, shape.size_wh
        stands_out.append(float(np.quantile(degrees[y : y + h, x : x + w], 0.95) - np.median(degrees)))
    assert brightness[0] > 1.3 * brightness[1] > 1.3 * 1.3 * brightness[2]
    assert min(stands_out) > 4


def test_a_bare_sky_has_less_structure_than_a_rich_background() -> None:
    structure = {}
    for difficulty in ("rich", "bare"):
        scene = build_scene(small(difficulty=difficulty, duration_s=0.2))
        grey = cv2.cvtColor(scene.far_visible, cv2.COLOR_BGR2GRAY).astype(np.float32)
        structure[difficulty] = float(np.abs(np.diff(grey, axis=1)).mean())
    assert structure["rich"] > 4 * structure["bare"]


def test_progress_counts_every_frame(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    film_clip(small(duration_s=0.2), tmp_path, lambda done, total: seen.append((done, total)))
    assert seen == [(k + 1, 10) for k in range(10)]


def test_an_interrupted_clip_leaves_no_truth(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    film_clip(small(duration_s=0.2), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        film_clip(small(duration_s=0.2), tmp_path, stop)
    assert not ClipFiles.of(tmp_path, "small").truth.exists()
