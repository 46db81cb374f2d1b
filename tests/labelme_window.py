"""A hand and an eye for the real Labelme on a display of its own: mouse, keyboard, screenshots."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import ImageGrab

SCREEN_WH = (1800, 1000)
WINDOW_WH = (1400, 950)


def find_real_labelme() -> str | None:
    """Return the Labelme to test with: VIRCRAFT_TEST_LABELME, next to Python, or on the PATH."""
    named = os.environ.get("VIRCRAFT_TEST_LABELME")
    return named or shutil.which("labelme", path=str(Path(sys.executable).parent)) or shutil.which("labelme")


def missing_tools() -> list[str]:
    """Return what is missing to drive a real Labelme here."""
    missing = [tool for tool in ("Xvfb", "xdotool") if shutil.which(tool) is None]
    return missing + ([] if find_real_labelme() else ["labelme"])


@contextmanager
def virtual_display() -> Iterator[str]:
    """Run an X server without a screen; yields its name, such as `:3`."""
    read, write = os.pipe()
    size = "x".join(map(str, SCREEN_WH))
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{size}x24", "-dpi", "96", "-nolisten", "tcp"],
        pass_fds=[write],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()
        assert number, "Xvfb did not start"
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


def until(condition: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    """Wait for a condition and return its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)
    return value


@dataclass
class Annotator:
    """A person in front of Labelme, who has zoomed to 100 %.

    Attributes:
        display: the X display.
        window: the X window of Labelme.
        origin: where the picture's upper left corner is on the screen.
        others: the windows that are no dialogs.
    """

    display: str
    window: str
    origin: tuple[int, int] = (0, 0)
    others: tuple[str, ...] = ()

    @classmethod
    def sit_down(cls, display: str, picture: Path) -> Annotator:
        """Wait for Labelme to show a picture, give its window a size, and zoom to 100 %."""
        person = cls(display, "")
        person.window = until(lambda: person._windows(picture.name)[:1], "Labelme's window", 60.0)[0]
        person.xdotool("windowmove", person.window, 0, 0)
        person.xdotool("windowsize", person.window, *WINDOW_WH)
        time.sleep(0.5)
        person.press("ctrl+0")
        time.sleep(0.5)
        shown = cv2.imread(str(picture))
        assert shown is not None
        likeness = cv2.matchTemplate(person.screen(), shown, cv2.TM_CCOEFF_NORMED)
        _, best, _, origin = cv2.minMaxLoc(likeness)
        assert best > 0.5, "the picture is on the screen, unscaled, with shapes on it at most"
        person.others = tuple(person._windows(""))
        person.origin = (int(origin[0]), int(origin[1]))
        return person

    def xdotool(self, *arguments: object) -> str:
        """Run xdotool."""
        command = ["xdotool", *map(str, arguments)]
        environment = {**os.environ, "DISPLAY": self.display}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        time.sleep(0.05)
        return done.stdout

    def screen(self) -> np.ndarray:
        """Return the screen, (H, W, 3) BGR."""
        return np.asarray(ImageGrab.grab(xdisplay=self.display).convert("RGB"))[:, :, ::-1].copy()

    def press(self, *keys: str) -> None:
        """Press keys in the main window."""
        self.xdotool("windowfocus", "--sync", self.window)
        self.xdotool("key", *keys)

    def click(self, x: float, y: float, *, times: int = 1) -> None:
        """Click somewhere on the screen."""
        self.xdotool("mousemove", round(x), round(y))
        time.sleep(0.1)
        self.xdotool("click", "--repeat", times, 1)
        time.sleep(0.1)

    def click_picture(self, x: float, y: float) -> None:
        """Click on a place of the picture."""
        self.click(self.origin[0] + x, self.origin[1] + y)

    def draw_point(self, label: str, place: tuple[int, int], flag: str = "") -> None:
        """Draw a keypoint."""
        self.press("p")
        self.click_picture(*place)
        self._name(label, flag)

    def draw_polygon(self, label: str, places: list[tuple[int, int]]) -> None:
        """Draw an outline; a click on its first vertex closes it."""
        self.press("o")
        for place in [*places, places[0]]:
            self.click_picture(*place)
        self._name(label)

    def set_group_of_all(self, group: int, colours: Iterable[tuple[int, int, int]]) -> None:
        """Select all shapes in the list and give them one group id."""
        self.press("e")
        x, y = self._in_shape_list(colours)
        self.click(x - 15, y)
        self.xdotool("key", "ctrl+a")
        self.xdotool("key", "ctrl+e")
        left, top, width, _ = self._dialog()
        self.click(left + width - 45, top + 23)
        self.xdotool("type", str(group))
        self._accept()

    def tick_file_flag(self, row: int) -> None:
        """Tick a flag of the whole picture."""
        self.click(WINDOW_WH[0] - 200, 127 + 17 * row)
        self.xdotool("key", "space")

    def leave(self) -> None:
        """Close Labelme."""
        self.press("ctrl+q")

    def _windows(self, name: str) -> list[str]:
        return self.xdotool("search", "--onlyvisible", "--name", name).split()

    def _name(self, label: str, flag: str = "") -> None:
        left, top, _, height = self._dialog()
        self.xdotool("type", label)
        time.sleep(0.1)
        if flag:
            self.click(left + 18, top + height - {"occluded": 98, "invisible": 78}[flag])
            self.click(left + 60, top + 23)  # back into the name, where Return accepts
        self._accept()

    def _accept(self) -> None:
        self.xdotool("key", "Return")
        until(lambda: not self._dialogs(), "the dialog to close")

    def _dialogs(self) -> list[str]:
        return [window for window in self._windows("") if window not in self.others]

    def _dialog(self) -> tuple[int, int, int, int]:
        """Wait for a dialog; return left, top, width, height."""
        (window, *_) = until(self._dialogs, "the label dialog")
        time.sleep(0.2)
        self.xdotool("windowfocus", "--sync", window)
        lines = self.xdotool("getwindowgeometry", "--shell", window).splitlines()
        values = dict(line.split("=") for line in lines)
        return tuple(int(values[key]) for key in ("X", "Y", "WIDTH", "HEIGHT"))  # type: ignore[return-value]

    def _in_shape_list(self, colours: Iterable[tuple[int, int, int]]) -> tuple[int, int]:
        """Return where the last coloured dot at the right is: in the list of shapes, below that of labels."""
        screen = self.screen()
        dots = np.any([(screen == np.array(rgb[::-1])).all(axis=2) for rgb in colours], axis=0)
        y, x = max((int(y), int(x)) for y, x in np.argwhere(dots) if WINDOW_WH[0] - 260 < x < WINDOW_WH[0])
        return x, y
