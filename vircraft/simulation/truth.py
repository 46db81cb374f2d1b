"""What a simulated clip really showed: `NAME.truth.json`, written by `vircraft simulate`, and its reader.

The file is one JSON object (`docs/formats-truth.md` has every key):

- clip level: `format`, `version`, `name`, `seed`, `settings`, `offset_frames`, `drift_ppm`, `lost`, `fps`,
  `sizes`, `start_s`, `keypoint_names`;
- `infrared_frames`: one object per frame that the infrared file holds, with the visible picture of the same
  instant described beside it (that instant usually lies between two visible frames);
- `visible_frames`: one object per frame that the visible file holds.

Pixel centres are at integers. Keypoints are `[x, y, v]` with v = 2 visible, 1 occluded (hidden behind the
aircraft itself; x, y say where it is), 0 invisible (outside the picture; x = y = 0).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.errors import InputFileError

FORMAT = "vircraft-simulated-truth"
VERSION = 1

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class InfraredFrameTruth:
    """One frame of the infrared file and the visible picture of the same instant.

    Attributes:
        index: position among the frames that the file holds.
        tick: slot on the infrared clock; runs ahead of `index` by the frames lost before it.
        time_s: presentation time.
        visible_tick: the same instant on the visible clock, in visible frame periods; fractional.
        visible_index: the same instant as a fractional index among the frames that the visible file holds;
            below 0 or above the last index where the visible recording does not cover it.
        h_far: (3, 3), visible pixels to infrared pixels for the scene at infinity, h22 = 1.
        h_aircraft: (3, 3), the same for the plane through the aircraft that faces the visible camera.
        keypoints_infrared: (9, 3) x, y, v in the infrared picture.
        keypoints_visible: (9, 3) x, y, v in the visible picture of the same instant.
        box: x0, y0, x1, y1 of the aircraft in the infrared picture; None when it is not in view.
        outline: polygons around the aircraft in infrared pixels, each (N, 2).
        distance_m: from the visible camera to the aircraft's middle.
        focal_ir_px: focal length of the infrared lens.
        focal_vis_px: focal length of the visible lens.
        h_directions: (3, 3), infrared pixels to the clip's common plane of far directions.
    """

    index: int
    tick: int
    time_s: float
    visible_tick: float
    visible_index: float
    h_far: Matrix
    h_aircraft: Matrix
    keypoints_infrared: Matrix
    keypoints_visible: Matrix
    box: tuple[float, float, float, float] | None
    outline: tuple[Matrix, ...]
    distance_m: float
    focal_ir_px: float
    focal_vis_px: float
    h_directions: Matrix = field(default_factory=lambda: np.eye(3))

    def __post_init__(self) -> None:
        for name in ("h_far", "h_aircraft", "h_directions"):
            if getattr(self, name).shape != (3, 3):
                raise ValueError(f"{name} must be (3, 3), got {getattr(self, name).shape}")
        for name in ("keypoints_infrared", "keypoints_visible"):
            _check_keypoints(name, getattr(self, name))


@dataclass(frozen=True)
class VisibleFrameTruth:
    """One frame of the visible file.

    Attributes:
        index: position among the frames that the file holds.
        tick: slot on the visible clock.
        time_s: presentation time.
        keypoints: (9, 3) x, y, v in this picture.
        h_directions: (3, 3), visible pixels to the clip's common plane of far directions.
    """

    index: int
    tick: int
    time_s: float
    keypoints: Matrix
    h_directions: Matrix = field(default_factory=lambda: np.eye(3))

    def __post_init__(self) -> None:
        _check_keypoints("keypoints", self.keypoints)


@dataclass(frozen=True)
class ClipTruth:
    """Everything known about one simulated clip.

    Attributes:
        name: of the clip.
        seed: that made it.
        offset_frames: infrared tick i shows the instant of visible tick i + offset_frames (equal rates, no
            drift; with either, this holds at infrared tick 0).
        drift_ppm: the visible clock runs (1 + drift_ppm / 1e6) seconds while the infrared clock runs one.
        lost_infrared: slots of the infrared clock whose frames never arrived.
        lost_visible: the same of the visible clock.
        infrared_fps: nominal frames per second.
        visible_fps: nominal frames per second.
        infrared_wh: picture size.
        visible_wh: picture size.
        infrared_start_s: presentation time of infrared tick 0.
        visible_start_s: presentation time of visible tick 0.
        settings: the scene settings as stored.
        infrared_frames: per frame of the infrared file, in order.
        visible_frames: per frame of the visible file, in order.
    """

    name: str
    seed: int
    offset_frames: float
    drift_ppm: float
    lost_infrared: tuple[int, ...]
    lost_visible: tuple[int, ...]
    infrared_fps: float
    visible_fps: float
    infrared_wh: tuple[int, int]
    visible_wh: tuple[int, int]
    infrared_start_s: float
    visible_start_s: float
    settings: Mapping[str, Any]
    infrared_frames: tuple[InfraredFrameTruth, ...]
    visible_frames: tuple[VisibleFrameTruth, ...]

    @property
    def offset_s(self) -> float:
        """Seconds to add to an infrared presentation time for the visible one, at infrared tick 0."""
        visible_s = self.visible_start_s + self.offset_frames / self.visible_fps
        return visible_s - self.infrared_start_s * (1 + self.drift_ppm * 1e-6)

    def h_far_between(self, infrared_index: int, visible_index: int) -> Matrix:
        """Return the (3, 3) visible to infrared homography of the far scene between two frames of the files.

        The frames are mostly not of one instant; the head has turned between them.
        """
        infrared = self.infrared_frames[infrared_index].h_directions
        h = np.linalg.inv(infrared) @ self.visible_frames[visible_index].h_directions
        return np.asarray(h / h[2, 2])


def write_truth(path: Path, truth: ClipTruth) -> None:
    """Write a truth file; the same truth gives the same bytes, and a torn file is never left behind."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(_dump(truth), encoding="utf-8")
    partial.replace(path)


def read_truth(path: Path) -> ClipTruth:
    """Read a truth file.

    Raises:
        InputFileError: the file cannot be read, is of another format or version, or is damaged.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputFileError(f"cannot be read ({error.strerror})", path=path) from error
    except ValueError as error:
        raise InputFileError(f"is not JSON ({error})", path=path, reason="bad-json") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InputFileError(f"has no 'format': '{FORMAT}'", path=path, reason="not-a-truth-file")
    if data.get("version") != VERSION:
        raise InputFileError(
            f"has version {data.get('version')!r}, this vircraft reads {VERSION}; render the clip again",
            path=path,
            reason="other-version",
        )
    try:
        return _clip(data)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputFileError(f"is damaged: {error!r}", path=path, reason="damaged") from error


def _clip(data: dict[str, Any]) -> ClipTruth:
    return ClipTruth(
        name=str(data["name"]),
        seed=int(data["seed"]),
        offset_frames=float(data["offset_frames"]),
        drift_ppm=float(data["drift_ppm"]),
        lost_infrared=tuple(int(i) for i in data["lost"]["infrared"]),
        lost_visible=tuple(int(i) for i in data["lost"]["visible"]),
        infrared_fps=float(data["fps"]["infrared"]),
        visible_fps=float(data["fps"]["visible"]),
        infrared_wh=_size(data["sizes"]["infrared"]),
        visible_wh=_size(data["sizes"]["visible"]),
        infrared_start_s=float(data["start_s"]["infrared"]),
        visible_start_s=float(data["start_s"]["visible"]),
        settings=dict(data["settings"]),
        infrared_frames=tuple(_infrared_frame(f) for f in data["infrared_frames"]),
        visible_frames=tuple(_visible_frame(f) for f in data["visible_frames"]),
    )


def _infrared_frame(f: dict[str, Any]) -> InfraredFrameTruth:
    box = f["box"]
    return InfraredFrameTruth(
        index=int(f["index"]),
        tick=int(f["tick"]),
        time_s=float(f["time_s"]),
        visible_tick=float(f["visible_tick"]),
        visible_index=float(f["visible_index"]),
        h_far=_array(f["h_far"]),
        h_aircraft=_array(f["h_aircraft"]),
        keypoints_infrared=_array(f["keypoints_infrared"]),
        keypoints_visible=_array(f["keypoints_visible"]),
        box=None if box is None else (float(box[0]), float(box[1]), float(box[2]), float(box[3])),
        outline=tuple(_array(p).reshape(-1, 2) for p in f["outline"]),
        distance_m=float(f["distance_m"]),
        focal_ir_px=float(f["focal_ir_px"]),
        focal_vis_px=float(f["focal_vis_px"]),
        h_directions=_array(f["h_directions"]),
    )


def _visible_frame(f: dict[str, Any]) -> VisibleFrameTruth:
    return VisibleFrameTruth(
        int(f["index"]),
        int(f["tick"]),
        float(f["time_s"]),
        _array(f["keypoints"]),
        _array(f["h_directions"]),
    )


def _dump(truth: ClipTruth) -> str:
    head = {
        "format": FORMAT,
        "version": VERSION,
        "name": truth.name,
        "seed": truth.seed,
        "settings": dict(truth.settings),
        "offset_frames": float(truth.offset_frames),
        "drift_ppm": float(truth.drift_ppm),
        "lost": {"infrared": list(truth.lost_infrared), "visible": list(truth.lost_visible)},
        "fps": {"infrared": float(truth.infrared_fps), "visible": float(truth.visible_fps)},
        "sizes": {"infrared": list(truth.infrared_wh), "visible": list(truth.visible_wh)},
        "start_s": {"infrared": float(truth.infrared_start_s), "visible": float(truth.visible_start_s)},
        "keypoint_names": list(KEYPOINTS),
    }
    infrared = [
        {
            "index": f.index,
            "tick": f.tick,
            "time_s": round(f.time_s, 9),
            "visible_tick": round(f.visible_tick, 6),
            "visible_index": round(f.visible_index, 6),
            "h_far": _matrix(f.h_far),
            "h_aircraft": _matrix(f.h_aircraft),
            "keypoints_infrared": _rounded(f.keypoints_infrared),
            "keypoints_visible": _rounded(f.keypoints_visible),
            "box": None if f.box is None else [round(v, 1) for v in f.box],
            "outline": [np.round(p, 1).ravel().tolist() for p in f.outline],
            "distance_m": round(f.distance_m, 3),
            "focal_ir_px": round(f.focal_ir_px, 3),
            "focal_vis_px": round(f.focal_vis_px, 3),
            "h_directions": _matrix(f.h_directions),
        }
        for f in truth.infrared_frames
    ]
    visible = [
        {
            "index": f.index,
            "tick": f.tick,
            "time_s": round(f.time_s, 9),
            "keypoints": _rounded(f.keypoints),
            "h_directions": _matrix(f.h_directions),
        }
        for f in truth.visible_frames
    ]
    # One line per frame: small, and a person can still read and compare it.
    lines = [json.dumps(head, indent=1)[:-2] + ","]
    lines.append(' "infrared_frames": [\n' + ",\n".join("  " + _line(f) for f in infrared) + "\n ],")
    lines.append(' "visible_frames": [\n' + ",\n".join("  " + _line(f) for f in visible) + "\n ]\n}\n")
    return "\n".join(lines)


def _line(frame: Mapping[str, Any]) -> str:
    return json.dumps(frame, separators=(",", ":"))


def _matrix(h: Matrix) -> list[list[float]]:
    return [[float(f"{v:.12g}") for v in row] for row in h]


def _rounded(keypoints: Matrix) -> list[list[float]]:
    return [[round(float(x), 3), round(float(y), 3), int(v)] for x, y, v in keypoints]


def _array(rows: Any) -> Matrix:
    array = np.asarray(rows, np.float64)
    if not np.isfinite(array).all():
        raise ValueError("numbers must be finite")
    return array


def _size(value: Any) -> tuple[int, int]:
    return int(value[0]), int(value[1])


def _check_keypoints(name: str, points: Matrix) -> None:
    if points.shape != (len(KEYPOINTS), 3):
        raise ValueError(f"{name} must be ({len(KEYPOINTS)}, 3), got {points.shape}")
    if not np.isin(points[:, 2], (0, 1, 2)).all():
        raise ValueError(f"{name}: visibility is 0, 1 or 2, got {points[:, 2]}")
