"""Judge a segmentation network on a split, and use it on pictures without labels (Sec. 3.3.3)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fgfusion_model.downstream.pictures import (
    Rgb,
    check_pictures,
    find_pictures,
    list_pictures,
    read_rgb,
    write_rgb,
)
from fgfusion_model.downstream.results import Predicted, TaskResult, write_result
from fgfusion_model.downstream.segmentation.confusion import Counts, confusion, picture_iou, scores_of
from fgfusion_model.downstream.segmentation.label_maps import LabelMap, LabelMaps, find_label_maps
from fgfusion_model.downstream.segmentation.network import make_network, segment
from fgfusion_model.downstream.segmentation.painting import overlay
from fgfusion_model.downstream.segmentation.settings import TASK, Settings
from fgfusion_model.downstream.trained import Trained, load_trained, other_pictures
from fgfusion_model.training.runtime import Runtime
from vircraft.errors import DatasetError, InputFileError
from vircraft.files import encode_png, write_atomically

FIGURES = 8  # pictures that are shown beside their labels
OnFile = Callable[[int, int], None]


class Segmenter(Trained[Settings]):
    """A trained network: (H, W, 3) RGB of any size -> class of each pixel, (H, W)."""

    def __call__(self, picture: Rgb) -> LabelMap:
        """Return the class of each pixel."""
        return segment(self.network, picture, self.settings.longest, self.device)


def load_segmenter(weights: Path, runtime: Runtime | None = None) -> Segmenter:
    """Return a trained network.

    Raises:
        InputFileError: the file cannot be read or is no weights of this task.
        SettingsError: there is no such device.
    """
    return Segmenter(**vars(load_trained(weights, TASK, Settings, make_network, runtime)))


def evaluate(
    weights: Path,
    root: Path,
    pictures: str,
    *,
    split: str = "test",
    output: Path | None = None,
    runtime: Runtime | None = None,
    on_file: OnFile | None = None,
) -> TaskResult:
    """Judge a network at the full size of the labels.

    Scores are `IoU CLASS` by class in order and `mIoU`, from one confusion matrix over the split. A class
    that neither labels nor predictions hold has none and is left out of the mean. By picture: `mIoU`, over
    the classes that its label holds.

    Args:
        weights: of `train`.
        root, pictures: as of `train`; the pictures may be others than those trained on.
        split: to judge on.
        output: folder for `result.json`, `confusion.csv` and `figures/` (picture, label and answer).
        runtime: where it runs.
        on_file: is called with the number of pictures done and their total.

    Raises:
        DatasetError: labels or pictures are missing, or differ in size; the labels have other classes than
            the network; the output cannot be written.
        InputFileError: a file cannot be used, or a label map holds a class that the network was not told of.
    """
    segmenter = load_segmenter(weights, runtime)
    maps = find_label_maps(root, split)
    renamed = _check_names(segmenter, maps)
    found = find_pictures(root, pictures, split)
    labels = dict(maps.checked(len(segmenter.classes)))
    check_pictures(found, {stem: (m.shape[1], m.shape[0]) for stem, m in labels.items()})
    counts = np.zeros((len(segmenter.classes),) * 2, np.int64)
    by_picture: dict[str, float] = {}
    shown = set(list(labels)[:: -(-len(labels) // FIGURES)])
    for done, (stem, label) in enumerate(labels.items(), 1):
        picture = found.read(stem)
        answer = segmenter(picture)
        here = confusion(label, answer, len(segmenter.classes))
        counts += here
        value = picture_iou(here)
        if value is not None:
            by_picture[stem] = value
        if output is not None and stem in shown:
            _write_figure(output / "figures" / f"{stem}.png", picture, label, answer, len(segmenter.classes))
        if on_file is not None:
            on_file(done, len(labels))
    result = TaskResult(
        TASK,
        split,
        pictures,
        scores_of(counts, segmenter.classes),
        {"mIoU": by_picture},
        (
            *maps.remarks,
            *_remarks(counts, segmenter.classes, maps),
            *renamed,
            *other_pictures(segmenter.pictures, pictures),
        ),
    )
    if output is not None:
        write_atomically(output / "confusion.csv", _table(counts, segmenter.classes).encode())
        write_result(result, output)
    return result


def predict(
    weights: Path,
    sources: Sequence[Path],
    output: Path,
    runtime: Runtime | None = None,
    *,
    on_file: OnFile | None = None,
) -> Predicted:
    """Segment pictures without labels; a damaged one does not stop the others.

    Args:
        weights: of `train`.
        sources: pictures, or folders of them.
        output: folder for `labels/STEM.png` (class ids) and `overlays/STEM.png` (colour over the picture).
        runtime: where it runs.
        on_file: is called with the number of pictures done and their total.

    Raises:
        DatasetError: there is no picture, two share a name, or the output cannot be written.
        InputFileError: the weights cannot be used.
    """
    segmenter = load_segmenter(weights, runtime)
    paths, answers = list_pictures(sources), output / "labels"
    failures: list[str] = []
    for done, (stem, path) in enumerate(paths.items(), 1):
        try:
            picture = read_rgb(path, infrared=segmenter.infrared)
        except InputFileError as error:
            failures.append(str(error))
        else:
            answer = segmenter(picture)
            painted = overlay(picture, answer, len(segmenter.classes))
            write_atomically(answers / f"{stem}.png", encode_png(answer))
            write_rgb(output / "overlays" / f"{stem}.png", painted)
        if on_file is not None:
            on_file(done, len(paths))
    return Predicted(answers, len(paths) - len(failures), tuple(failures))


def _check_names(segmenter: Segmenter, maps: LabelMaps) -> tuple[str, ...]:
    """Make sure that ids mean the same; return a remark where the user's own names are only other words.

    Raises:
        DatasetError: the network was trained on labels with other classes.
    """
    counted = segmenter.classes[1:2] == ("class 1",)
    if not maps.names or counted or maps.names == segmenter.classes:
        return ()
    there, known = ", ".join(maps.names), ", ".join(segmenter.classes)
    if segmenter.settings.classes:
        return (f"the dataset calls its classes {there}; the network was told {known}",)
    raise DatasetError(
        f"{maps.root}: has the classes {there}, and the network was trained on {known}; judge it on labels "
        "of its own classes, or train with --classes"
    )


def _remarks(counts: Counts, names: Sequence[str], maps: LabelMaps) -> list[str]:
    absent = [name for name, n in zip(names, counts.sum(0) + counts.sum(1), strict=True) if not n]
    if not absent:
        return []
    return [
        f"neither labels nor predictions of {maps.split!r} hold {', '.join(absent)}: left out of the mean"
    ]


def _table(counts: Counts, names: Sequence[str]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["label \\ prediction", *names])
    rows.writerows([name, *map(int, row)] for name, row in zip(names, counts, strict=True))
    return text.getvalue()


def _write_figure(path: Path, picture: Rgb, label: LabelMap, answer: LabelMap, count: int) -> None:
    row = np.concatenate([picture, overlay(picture, label, count), overlay(picture, answer, count)], axis=1)
    write_rgb(path, row)
