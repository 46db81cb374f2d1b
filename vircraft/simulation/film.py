"""Film one clip: render every frame of both cameras, encode both files, write the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.simulation.aircraft import Aircraft, build_aircraft
from vircraft.simulation.ambience import Ambience, choose_ambience
from vircraft.simulation.background import draw_background
from vircraft.simulation.canvas import Canvas, open_canvas
from vircraft.simulation.clock import RigClock, build_clock
from vircraft.simulation.flight import Flight, plan_flight
from vircraft.simulation.livery import Livery, paint_livery
from vircraft.simulation.mesh import Points
from vircraft.simulation.occlusion import hidden_points
from vircraft.simulation.rig import Camera, Rig, build_rig, h_ir_from_vis
from vircraft.simulation.sensor import InfraredSensor, VisibleSensor
from vircraft.simulation.settings import ClipSettings
from vircraft.simulation.shading import (
    SUPERSAMPLING,
    Silhouette,
    draw_lamps,
    draw_plumes,
    draw_thermal,
    draw_visible,
    silhouette,
)
from vircraft.simulation.truth import ClipTruth, InfraredFrameTruth, VisibleFrameTruth, write_truth
from vircraft.simulation.video import VideoWriter

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ClipFiles:
    """Where a clip's files lie."""

    infrared: Path
    visible: Path
    truth: Path

    @classmethod
    def of(cls, folder: Path, name: str) -> ClipFiles:
        """Return the paths of a clip's files in a folder."""
        return cls(
            folder / f"{name}_infrared.mp4", folder / f"{name}_visible.mp4", folder / f"{name}.truth.json"
        )


@dataclass(frozen=True)
class Scene:
    """Everything about a clip that does not change from frame to frame."""

    settings: ClipSettings
    aircraft: Aircraft
    livery: Livery
    flight: Flight
    rig: Rig
    clock: RigClock
    ambience: Ambience
    far_visible: NDArray[np.uint8]
    far_thermal: NDArray[np.float32]
    canvas: Canvas


def build_scene(settings: ClipSettings) -> Scene:
    """Draw everything that the seed decides and paint the background."""

    def rng(part: int) -> np.random.Generator:
        return np.random.default_rng([settings.seed, part])

    aircraft = build_aircraft(settings.aircraft, float(rng(0).uniform(0.92, 1.15)))
    flight = plan_flight(settings, rng(1))
    rig = build_rig(settings, flight, aircraft.mesh.vertices, rng(2))
    clock = build_clock(settings)
    instants = np.concatenate([clock.infrared.instants_s, clock.visible.instants_s])
    canvas = open_canvas(rig, np.linspace(instants.min(), instants.max(), 60))
    ambience = choose_ambience(settings, canvas.azimuth, rng(3))
    draw_background(canvas, flight, ambience, settings.difficulty, rng(4))
    return Scene(
        settings,
        aircraft,
        paint_livery(settings.aircraft, rng(5)),
        flight,
        rig,
        clock,
        ambience,
        np.round(canvas.visible).astype(np.uint8),
        canvas.thermal,
        canvas,
    )


def film_clip(settings: ClipSettings, folder: Path, progress: Progress | None = None) -> ClipTruth:
    """Render one clip into a folder: both videos, then the truth, whose presence marks the clip as whole.

    Args:
        settings: of the clip.
        folder: that exists and can be written.
        progress: called with the number of frames done and the number of all frames.

    Returns:
        The truth as it was written.

    Raises:
        OSError: the files cannot be written.
    """
    files = ClipFiles.of(folder, settings.name)
    files.truth.unlink(missing_ok=True)
    scene = build_scene(settings)
    total = len(scene.clock.infrared.ticks) + len(scene.clock.visible.ticks)
    done = 0

    def report() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    infrared = _film_infrared(scene, files.infrared, report)
    visible = _film_visible(scene, files.visible, report)
    truth = _clip_truth(scene, infrared, visible)
    write_truth(files.truth, truth)
    return truth


def _film_infrared(scene: Scene, path: Path, report: Callable[[], None]) -> tuple[InfraredFrameTruth, ...]:
    settings, clock = scene.settings, scene.clock
    noise_c = 0.16 + 0.10 * (settings.difficulty == "bare")
    sensor = InfraredSensor(settings.infrared_wh, noise_c, 0.75, np.random.default_rng([settings.seed, 6]))
    frames = []
    with VideoWriter(
        path, settings.infrared_wh, settings.infrared_fps, max(settings.quality - 3, 0)
    ) as writer:
        for index, (tick, instant, time) in enumerate(
            zip(clock.infrared.ticks, clock.infrared.instants_s, clock.infrared.times_s, strict=True)
        ):
            degrees, shape = render_thermal(scene, float(instant))
            writer.write(
                sensor.expose(degrees, np.random.default_rng([settings.seed, 7, int(tick)])), float(time)
            )
            frames.append(_infrared_truth(scene, index, int(tick), float(instant), float(time), shape))
            report()
    return tuple(frames)


def _film_visible(scene: Scene, path: Path, report: Callable[[], None]) -> tuple[VisibleFrameTruth, ...]:
    settings, clock = scene.settings, scene.clock
    noise = {"day": 1.4, "dusk": 2.2, "night": 2.7}[settings.light]
    sensor = VisibleSensor(settings.visible_wh, noise, 0.7, np.random.default_rng([settings.seed, 8]))
    frames = []
    with VideoWriter(path, settings.visible_wh, settings.visible_fps, settings.quality) as writer:
        for index, (tick, instant, time) in enumerate(
            zip(clock.visible.ticks, clock.visible.instants_s, clock.visible.times_s, strict=True)
        ):
            picture = render_visible(scene, float(instant))
            writer.write(
                sensor.expose(picture, np.random.default_rng([settings.seed, 9, int(tick)])), float(time)
            )
            camera = scene.rig.visible(float(instant))
            keypoints = keypoints_in(scene, camera, float(instant))
            turned = scene.canvas.directions(camera)
            frames.append(VisibleFrameTruth(index, int(tick), float(time), keypoints, turned))
            report()
    return tuple(frames)


_SHUTTER_S = {"day": 1 / 1500, "dusk": 1 / 300, "night": 1 / 100}
_SHUTTER_IR_S = 1 / 200


def _far_scene(
    scene: Scene, drawn: NDArray[Any], camera_at: Callable[[float], Camera], t_s: float, shutter_s: float
) -> NDArray[Any]:
    """Return the background in a camera, smeared by how far the head turns while the shutter is open."""
    camera = camera_at(t_s)
    h_canvas = scene.canvas.from_camera(camera)
    picture = cv2.warpPerspective(
        drawn,
        h_canvas,
        camera.size_wh,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    middle = np.append(camera.principal, 1.0)
    later = np.linalg.inv(scene.canvas.from_camera(camera_at(t_s + shutter_s))) @ h_canvas @ middle
    smear = np.abs(later[:2] / later[2] - camera.principal)
    length = (
        2 * np.round(np.minimum(smear, 12) / 2).astype(int) + 1
    )  # odd: the middle of the exposure stays in place
    return picture if length.max() == 1 else cv2.blur(picture, (int(length[0]), int(length[1])))


def render_visible(scene: Scene, t_s: float) -> NDArray[np.uint8]:
    """Return the clean (H, W, 3) BGR picture of the visible camera at an instant."""
    camera = scene.rig.visible(t_s)
    picture = _far_scene(scene, scene.far_visible, scene.rig.visible, t_s, _SHUTTER_S[scene.settings.light])
    place, turn = scene.flight.place(t_s), scene.flight.world_from_body(t_s)
    shape = silhouette(scene.aircraft, place, turn, camera)
    if shape is not None:
        distance = float(np.linalg.norm(place - camera.centre))
        draw_visible(picture, shape, scene.livery, scene.ambience, camera, distance)
    lamps = np.array([lamp.place for lamp in scene.aircraft.lights])
    hidden = hidden_points(lamps, turn.T @ (camera.centre - place), scene.aircraft.mesh)
    draw_lamps(picture, scene.aircraft, place, turn, camera, scene.ambience, hidden, t_s)
    return np.asarray(picture)


def render_thermal(scene: Scene, t_s: float) -> tuple[NDArray[np.float32], Silhouette | None]:
    """Return the clean (H, W) apparent temperatures, degrees Celsius, and the aircraft's silhouette."""
    camera = scene.rig.infrared(t_s)
    degrees = _far_scene(scene, scene.far_thermal, scene.rig.infrared, t_s, _SHUTTER_IR_S)
    place, turn = scene.flight.place(t_s), scene.flight.world_from_body(t_s)
    draw_plumes(degrees, scene.aircraft, place, turn, camera)
    shape = silhouette(scene.aircraft, place, turn, camera)
    if shape is not None:
        draw_thermal(degrees, shape, scene.livery, scene.ambience)
    return np.asarray(degrees), shape


def keypoints_in(scene: Scene, camera: Camera, t_s: float) -> Points:
    """Return the (9, 3) keypoints x, y, v in a camera's picture at an instant."""
    place, turn = scene.flight.place(t_s), scene.flight.world_from_body(t_s)
    points = scene.aircraft.keypoints
    xy, depth = camera.project(points @ turn.T + place)
    w, h = camera.size_wh
    inside = (depth > 0) & (xy >= -0.5).all(1) & (xy < [w - 0.5, h - 0.5]).all(1)
    hidden = hidden_points(points, turn.T @ (camera.centre - place), scene.aircraft.mesh)
    v = np.where(inside, np.where(hidden, 1, 2), 0)
    return np.asarray(np.c_[np.where(inside[:, None], xy, 0.0), v])


def _infrared_truth(
    scene: Scene, index: int, tick: int, instant_s: float, time_s: float, shape: Silhouette | None
) -> InfraredFrameTruth:
    infrared, visible = scene.rig.infrared(instant_s), scene.rig.visible(instant_s)
    place = scene.flight.place(instant_s)
    depth = float(visible.rotation[2] @ (place - visible.centre))
    outline = () if shape is None else _outline(shape)
    points = np.concatenate(outline) if outline else np.zeros((0, 2))
    box = None
    if len(points):
        (x0, y0), (x1, y1) = points.min(0), points.max(0)
        box = (float(x0), float(y0), float(x1), float(y1))
    visible_tick = scene.clock.visible_tick(tick)
    return InfraredFrameTruth(
        index=index,
        tick=tick,
        time_s=time_s,
        visible_tick=visible_tick,
        visible_index=scene.clock.visible_index(visible_tick),
        h_far=h_ir_from_vis(infrared, visible),
        h_aircraft=h_ir_from_vis(infrared, visible, depth),
        keypoints_infrared=keypoints_in(scene, infrared, instant_s),
        keypoints_visible=keypoints_in(scene, visible, instant_s),
        box=box,
        outline=outline,
        distance_m=float(np.linalg.norm(place - visible.centre)),
        focal_ir_px=infrared.focal_px,
        focal_vis_px=visible.focal_px,
        h_directions=scene.canvas.directions(infrared),
    )


def _outline(shape: Silhouette) -> tuple[Points, ...]:
    """Return the outer boundaries of the silhouette, each (N, 2), picture pixels.

    They run along the edges of the fine grid's pixels, not through their centres, which would lose a quarter
    of a picture pixel on every side. Holes, such as between wing and engine, count as aircraft.
    """
    h, w = shape.mask.shape
    cracks = np.zeros((2 * h + 1, 2 * w + 1), np.uint8)  # pixel n of the fine grid spans 2n..2n+2 here
    cracks[1::2, 1::2] = shape.mask
    cracks = cv2.dilate(cracks, np.ones((3, 3), np.uint8)).astype(np.uint8)
    scale = 2 * SUPERSAMPLING
    found, _ = cv2.findContours(cracks, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    polygons = []
    for contour in found:
        if cv2.contourArea(contour) < 4 * scale**2:
            continue
        fewer = cv2.approxPolyDP(contour, 0.35 * scale, True)[:, 0].astype(np.float64)
        if len(fewer) >= 3:
            polygons.append(fewer / scale - 0.5 + shape.corner)
    return tuple(polygons)


def _clip_truth(
    scene: Scene, infrared: tuple[InfraredFrameTruth, ...], visible: tuple[VisibleFrameTruth, ...]
) -> ClipTruth:
    settings, clock = scene.settings, scene.clock
    return ClipTruth(
        name=settings.name,
        seed=settings.seed,
        offset_frames=settings.offset_frames,
        drift_ppm=settings.drift_ppm,
        lost_infrared=settings.lost_infrared,
        lost_visible=settings.lost_visible,
        infrared_fps=settings.infrared_fps,
        visible_fps=settings.visible_fps,
        infrared_wh=settings.infrared_wh,
        visible_wh=settings.visible_wh,
        infrared_start_s=clock.infrared.start_s,
        visible_start_s=clock.visible.start_s,
        settings=settings.as_dict(),
        infrared_frames=infrared,
        visible_frames=visible,
    )
