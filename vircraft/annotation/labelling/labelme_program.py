"""The program Labelme, 6 or 7: find it, set it up for aircraft, and start it. It is never imported."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vircraft.annotation.keypoints import AIRCRAFT, KEYPOINTS
from vircraft.errors import VircraftError

OLDEST = (6, 0, 0)  # the first that saves by itself and leaves pictures out of its files
_SHOWS_LABELS = (7, 0, 0)  # the first that writes labels beside the shapes
_NESTED_COLOURS = (7, 1, 0)  # the first that wants colours as shape_color.by_label

KEYPOINT_FLAGS = ("occluded", "invisible")
OUTLINE_FLAGS = ("hole", "crowd")
FILE_FLAGS = ("reviewed", "skip")  # `proposed` is shown where a file has it, so nobody sets it by mistake

# Left is red and right is green, as navigation lights are; the axis is yellow and blue.
COLOURS = {
    AIRCRAFT: (255, 165, 0),
    "Head": (255, 235, 0),
    "Vertical": (90, 200, 255),
    "Tail": (70, 90, 255),
    "Left_front": (255, 40, 40),
    "Right_front": (0, 220, 0),
    "Left_root": (255, 130, 150),
    "Right_root": (160, 255, 130),
    "Left_behind": (190, 0, 80),
    "Right_behind": (0, 150, 90),
}

# Labelme's own keys stay; the letters are beside A and D (previous and next picture), which it has already.
SHORTCUTS = {
    "create_point": "P",
    "create_polygon": ["Ctrl+N", "O"],
    "create_rectangle": ["Ctrl+R", "R"],
    "edit_shape": ["Ctrl+J", "E"],
}
POINT_SIZE = 6  # 8 hides a wing tip of an aircraft that is 100 px wide

_INSTALL = "install it with pip install 'vircraft[annotate]', or put any labelme 6 or 7 on the PATH"
_VERSION = re.compile(r"\b(\d+)\.(\d+)(?:\.(\d+))?")
_START_S = 120.0  # a first start from a slow disk takes half a minute


class LabelmeError(VircraftError):
    """Labelme is missing, too old or cannot run here."""


@dataclass(frozen=True)
class LabelmeProgram:
    """An installed Labelme.

    Attributes:
        path: the program.
        version: major, minor, patch.
    """

    path: Path
    version: tuple[int, int, int]

    @property
    def name(self) -> str:
        """Return its name for people: `Labelme 6.3.1`."""
        return f"Labelme {'.'.join(map(str, self.version))}"


def find_labelme(wanted: Path | None = None) -> LabelmeProgram:
    """Find Labelme: the one that is asked for, else next to the running Python, else on the PATH.

    Raises:
        LabelmeError: there is none, it does not answer, or it is older than 6.
    """
    path = _locate(wanted)
    answer = _ask_version(path)
    match = _VERSION.search(answer)
    if match is None:
        raise LabelmeError(f"{path}: answers {answer.strip()[-300:]!r} to --version, no version; {_INSTALL}")
    version = (int(match[1]), int(match[2]), int(match[3] or 0))
    if version < OLDEST:
        raise LabelmeError(f"{path}: Labelme {match[0]} is too old, 6.0 is the oldest that works; {_INSTALL}")
    return LabelmeProgram(path, version)


def _locate(wanted: Path | None) -> Path:
    if wanted is not None:
        found = shutil.which(wanted)
        if found is None:
            raise LabelmeError(f"{wanted}: is no program that can be started; give the path of labelme")
        return Path(found).absolute()
    beside = shutil.which("labelme", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("labelme")
    if found is None:
        raise LabelmeError(f"Labelme is not installed; {_INSTALL}, or name it with --labelme PATH")
    return Path(found).absolute()


def _ask_version(path: Path) -> str:
    try:
        answer = subprocess.run(
            [str(path), "--version"],
            env=clean_environment(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_START_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabelmeError(f"{path}: cannot be started: {error}; {_INSTALL}") from error
    if answer.returncode != 0:
        told = answer.stderr.strip()[-500:] or "it says nothing"
        raise LabelmeError(f"{path}: does not run ({told}); {_INSTALL}")
    return answer.stdout


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what leads Labelme's Qt to another Qt.

    OpenCV with a window system of its own sets `QT_QPA_PLATFORM_PLUGIN_PATH`, and conda and CUDA set-ups set
    `LD_LIBRARY_PATH`; with either Labelme may abort at its start.
    """
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("QT_") and name != "LD_LIBRARY_PATH"
    }


def require_display(environment: Mapping[str, str], platform: str = sys.platform) -> None:
    """Check that a window can be opened.

    Raises:
        LabelmeError: there is no display, as on a server.
    """
    if platform.startswith("linux") and not (
        environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    ):
        raise LabelmeError(
            "there is no display to open Labelme on (DISPLAY and WAYLAND_DISPLAY are unset); run it on a "
            "desktop that sees the dataset, or log in with ssh -X. --dry-run works without one"
        )


def config_text(version: tuple[int, int, int]) -> str:
    """Return Labelme's configuration for a version of it: JSON, which is YAML, too.

    Only keys that the version knows are in it: one that it does not know makes it drop them all.
    """
    colours = {label: list(rgb) for label, rgb in COLOURS.items()}
    shape: dict[str, Any] = {"point_size": POINT_SIZE}
    if version >= _SHOWS_LABELS:
        shape["show_labels"] = True
    config: dict[str, Any] = {
        "auto_save": True,
        "with_image_data": False,
        "keep_prev": False,
        "display_label_popup": True,
        "labels": [AIRCRAFT, *KEYPOINTS],
        "sort_labels": False,
        "label_completion": "startswith",
        "validate_label": None,  # "exact" would block editing the group id of several shapes at once
        "flags": list(FILE_FLAGS),
        "label_flags": _label_flags(),
        "shape": shape,
        "shortcuts": SHORTCUTS,
    }
    if version >= _NESTED_COLOURS:
        config["shape_color"] = {"mode": "by_label", "by_label": {"colors": colours}}
    else:
        config |= {"shape_color": "manual", "label_colors": colours}
    return json.dumps(config, indent=2) + "\n"


def _label_flags() -> dict[str, list[str]]:
    """Return label pattern -> flags.

    The empty alternative stands for several keypoints that are edited at once: their common label is empty,
    and a pattern that does not match it would lose their flags.
    """
    return {f"^(|{'|'.join(KEYPOINTS)})$": list(KEYPOINT_FLAGS), f"^{AIRCRAFT}$": list(OUTLINE_FLAGS)}


def start_labelme(
    program: LabelmeProgram,
    first_picture: Path,
    config: Path,
    log: Path,
    keep_open: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start Labelme on the folder of a picture; it saves beside the pictures.

    Args:
        program: what to start.
        first_picture: the picture that it opens first; the others of its folder are listed.
        config: the configuration file, used instead of the user's own.
        log: takes what it says.
        keep_open: descriptors that it holds open as long as it lives, such as a lock's (not on Windows).

    Raises:
        LabelmeError: it cannot be started.
    """
    # Relative to the folder it works in, so that its list shows the names and not where the dataset is.
    command = [str(program.path), first_picture.name, "--output", ".", "--config", str(config.absolute())]
    try:
        with log.open("wb") as file:
            return subprocess.Popen(
                [*command, "--logger-level", "warning"],
                cwd=first_picture.parent,
                env=clean_environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the command alone, which lets it finish a save
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
                pass_fds=() if os.name == "nt" else tuple(keep_open),
            )
    except OSError as error:
        raise LabelmeError(f"{program.path}: cannot be started: {error}; {_INSTALL}") from error
