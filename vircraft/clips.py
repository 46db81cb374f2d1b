"""Find binocular clips in a folder and describe them: Clip, Stream and what is odd about them."""

from __future__ import annotations

import csv
import math
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vircraft.decoding import bgr_picture, has_colour
from vircraft.errors import ClipError
from vircraft.palettes import is_coloured, recognise_palette
from vircraft.reading import DamagedFrame, read_frames
from vircraft.streams import Modality, Remark, Stream, probe_stream

__all__ = ["Clip", "ClipSource", "Remark", "Stream", "find_clips", "modality_of", "probe_clip"]

INFRARED_WORDS = frozenset({"infrared", "ir", "thermal", "therm", "lwir", "mwir", "swir", "tir", "flir"})
VISIBLE_WORDS = frozenset({"visible", "vis", "vi", "rgb", "eo", "color", "colour", "optical"})
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv"}
    | {".asf", ".flv", ".mxf", ".ogv", ".3gp", ".y4m", ".nut", ".h264", ".264", ".h265", ".265", ".hevc"}
    | {".gif", ".mjpeg", ".mjpg", ".dv", ".vob"}
)


@dataclass(frozen=True)
class ClipSource:
    """The two files of a clip, found but not opened.

    Attributes:
        name: names the clip's pairs; letters, digits, `_`, `-` and `.` only.
        infrared, visible: the files.
        offset_frames: offset from `clips.csv`, in visible frames; None when it does not say.
    """

    name: str
    infrared: Path
    visible: Path
    offset_frames: float | None = None


@dataclass(frozen=True, eq=False)
class Clip:
    """A probed clip.

    Attributes:
        name: as in ClipSource.
        infrared, visible: the two streams.
        sync_sidecar: `NAME.sync.toml` beside the infrared file, if there is one.
        truth: `NAME.truth.json` beside the infrared file, if there is one.
        remarks: what is odd about the pair and about either stream.
        offset_frames: offset stated in `clips.csv`, visible frames; None when not stated.
    """

    name: str
    infrared: Stream
    visible: Stream
    sync_sidecar: Path | None = None
    truth: Path | None = None
    remarks: tuple[Remark, ...] = ()
    offset_frames: float | None = None


def modality_of(text: str) -> tuple[Modality, str] | None:
    """Read the modality from a name without suffix.

    Returns:
        The modality and the name without the word for it (`approach_IR-2` gives `approach_2`), or None when
        no word names one. The last such word counts; any separator, any case, or none after a digit or
        before a capital (`clip3ir`, `LandingVis`).
    """
    tokens = re.split(r"([\W_]+)", text)
    for i in range(len(tokens) - 1, -1, -2):
        split = _split_word(tokens[i])
        if split is None:
            continue
        modality, rest = split
        if rest:
            tokens[i] = rest
            return modality, "".join(tokens)
        left, right = "".join(tokens[: max(i - 1, 0)]), "".join(tokens[i + 2 :])
        separator = tokens[i - 1] if i > 0 else ""
        return modality, left + (separator if left and right else "") + right
    return None


def _split_word(token: str) -> tuple[Modality, str] | None:
    """Return the modality that a token is or ends with, and what stands before it."""
    words = [("infrared", w) for w in INFRARED_WORDS] + [("visible", w) for w in VISIBLE_WORDS]
    for modality, word in sorted(words, key=lambda pair: -len(pair[1])):
        kind: Modality = "infrared" if modality == "infrared" else "visible"
        if token.lower() == word:
            return kind, ""
        head, tail = token[: -len(word)], token[-len(word) :]
        if head and tail.lower() == word:
            capital_starts = tail[0].isupper() and head[-1].islower()
            if head[-1].isdigit() or capital_starts:
                return kind, head
    return None


def find_clips(folder: Path) -> tuple[list[ClipSource], list[ClipError]]:
    """Find the binocular clips below a folder.

    A `clips.csv` (columns `name, infrared, visible`, optional `offset`) decides alone where there is one.
    Else files pair up by name (`NAME_infrared.*` with `NAME_visible.*`, also `ir`, `thermal`, `vis`, `rgb`,
    ...) or by folder (`infrared/NAME.*` with `visible/NAME.*`).

    Args:
        folder: a folder, or a `clips.csv`.

    Returns:
        The clips by name, and an error for each video without a partner or with too many.

    Raises:
        ClipError: the folder does not exist (`missing`), or its `clips.csv` cannot be read (`bad-csv`).
    """
    if folder.is_file() and folder.suffix.lower() == ".csv":
        return _read_csv(folder)
    if not folder.is_dir():
        raise ClipError("there is no such folder", path=folder, reason="missing")
    if (folder / "clips.csv").is_file():
        return _read_csv(folder / "clips.csv")
    groups: dict[str, dict[Modality, list[Path]]] = defaultdict(lambda: {"infrared": [], "visible": []})
    errors: list[ClipError] = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if any(part.startswith(".") for part in relative.parts) or path.suffix.lower() not in VIDEO_SUFFIXES:
            continue
        broken_link = path.is_symlink() and not path.exists()  # probing says what is wrong with it
        if not path.is_file() and not broken_link:
            continue
        found = _clip_name(relative)
        if found is None:
            message = "its name says neither infrared nor visible; call it NAME_infrared or NAME_visible"
            errors.append(ClipError(message, path=path, reason="unknown-modality"))
        else:
            groups[found[1]][found[0]].append(path)
    sources: list[ClipSource] = []
    for name, group in sorted(groups.items()):
        source, error = _pair_up(name, group)
        sources += [source] if source else []
        errors += [error] if error else []
    return sources, errors


def _pair_up(name: str, group: dict[Modality, list[Path]]) -> tuple[ClipSource | None, ClipError | None]:
    infrared, visible = group["infrared"], group["visible"]
    if len(infrared) == 1 and len(visible) == 1:
        return ClipSource(name, infrared[0], visible[0]), None
    for there, other in ((infrared, visible), (visible, infrared)):
        if len(there) > 1:
            names = ", ".join(p.name for p in there)
            message = (
                f"clip {name!r} has {len(there)} files for one camera ({names}); rename or list in clips.csv"
            )
            return None, ClipError(message, path=there[0], reason="ambiguous")
        if not there:
            missing = "infrared" if there is infrared else "visible"
            expected = f"{name}_{missing}{other[0].suffix}"
            message = f"clip {name!r} has no {missing} partner; expected one such as {expected}"
            return None, ClipError(message, path=other[0], reason="no-partner")
    return None, None


def _clip_name(relative: Path) -> tuple[Modality, str] | None:
    """Return the modality and clip name of a file from its path inside the folder."""
    folders = list(relative.parts[:-1])
    found = modality_of(relative.stem)
    if found is not None:
        modality, stem = found
    else:
        stem = relative.stem
        for i in range(len(folders) - 1, -1, -1):
            in_folder = modality_of(folders[i])
            if in_folder is not None:
                modality, folders[i] = in_folder
                break
        else:
            return None
    name = "_".join(part for part in (*folders, stem) if part)
    return modality, _safe_name(name) or "clip"


def _safe_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name).strip("._- ")


def _read_csv(path: Path) -> tuple[list[ClipSource], list[ClipError]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ClipError(f"cannot be read: {error}", path=path, reason="bad-csv") from error
    columns = set(rows[0]) if rows else set()
    if not rows or not {"name", "infrared", "visible"} <= columns:
        raise ClipError(
            "needs the columns name, infrared, visible and a row for each clip", path=path, reason="bad-csv"
        )
    sources: list[ClipSource] = []
    errors: list[ClipError] = []
    taken: set[str] = set()
    for number, row in enumerate(rows, start=2):
        name = _safe_name((row["name"] or "").strip())
        files = [(row[key] or "").strip() for key in ("infrared", "visible")]
        offset_text = (row.get("offset") or "").strip()
        try:
            offset = float(offset_text) if offset_text else None
            if offset is not None and not math.isfinite(offset):
                raise ValueError
        except ValueError:
            offset = None
            errors.append(
                ClipError(f"line {number}: offset {offset_text!r} is no number", path=path, reason="bad-csv")
            )
            continue
        if not name or not all(files) or name in taken:
            what = (
                f"a second clip {name!r}" if name in taken else "name, infrared and visible must be filled in"
            )
            errors.append(ClipError(f"line {number}: {what}", path=path, reason="bad-csv"))
            continue
        taken.add(name)
        sources.append(ClipSource(name, path.parent / files[0], path.parent / files[1], offset))
    return sources, errors


def probe_clip(source: ClipSource) -> Clip:
    """Read both files' packets and describe the clip.

    Raises:
        ClipError: a file cannot be used; `path` and `reason` say which and why.
    """
    infrared = _with_palette(probe_stream(source.infrared, "infrared"))
    visible = probe_stream(source.visible, "visible")
    sidecar = source.infrared.with_name(f"{source.name}.sync.toml")
    truth = source.infrared.with_name(f"{source.name}.truth.json")
    clip = Clip(
        name=source.name,
        infrared=infrared,
        visible=visible,
        sync_sidecar=sidecar if sidecar.is_file() else None,
        truth=truth if truth.is_file() else None,
        offset_frames=source.offset_frames,
    )
    return replace(clip, remarks=(*_pair_remarks(clip), *infrared.remarks, *visible.remarks))


def _with_palette(stream: Stream) -> Stream:
    """Look at two infrared frames for false colour: the first, and the keyframe nearest to the middle."""
    keys = np.searchsorted(stream.times_s, stream.key_times_s)
    middle = int(keys[np.argmin(np.abs(keys - stream.frame_count // 2))]) if len(keys) else 0
    frames = [frame for _, frame in read_frames(stream, sorted({0, middle}))]
    whole = [frame for frame in frames if not isinstance(frame, DamagedFrame)]
    pictures = [bgr_picture(frame, 0) for frame in whole if has_colour(frame)]
    if not any(is_coloured(picture) for picture in pictures):
        return stream
    match = recognise_palette(pictures)
    if match is None:
        message = "false colour of an unknown palette (or a colour camera): its luminance is used"
        return replace(stream, remarks=(*stream.remarks, Remark("unknown-palette", message, stream.path)))
    remark = Remark("false-colour", f"painted with the {match.name} palette; undone", stream.path)
    return replace(stream, palette=match.name, remarks=(*stream.remarks, remark))


def _pair_remarks(clip: Clip) -> tuple[Remark, ...]:
    remarks: list[Remark] = []
    slow, fast = sorted((clip.infrared.rate_fps, clip.visible.rate_fps))
    if fast > 1.001 * slow:
        rates = f"infrared {clip.infrared.rate_fps:.3f}, visible {clip.visible.rate_fps:.3f} frames a second"
        remarks.append(Remark("different-rates", f"{rates}: sampled on the slower one's clock"))
    start_difference_s = clip.visible.start_time_s - clip.infrared.start_time_s
    if abs(start_difference_s) > 1e-4:
        late = "visible" if start_difference_s > 0 else "infrared"
        remarks.append(
            Remark("different-starts", f"{late} starts {abs(start_difference_s):.3f} s after the other")
        )
    return tuple(remarks)
