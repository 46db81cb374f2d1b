"""Judge a detector on a split, and use it on pictures without labels (Sec. 3.3.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fgfusion_model.downstream.detection.boxes import BoxLabels, Detections, find_boxes
from fgfusion_model.downstream.detection.detectors import load_detector
from fgfusion_model.downstream.detection.painting import draw
from fgfusion_model.downstream.detection.scores import box_scores, picture_scores
from fgfusion_model.downstream.detection.settings import TASK
from fgfusion_model.downstream.pictures import (
    Rgb,
    check_pictures,
    find_pictures,
    list_pictures,
    read_rgb,
    write_rgb,
)
from fgfusion_model.downstream.results import Predicted, TaskResult, write_result
from fgfusion_model.downstream.trained import other_pictures
from fgfusion_model.training.runtime import Runtime
from vircraft.errors import InputFileError
from vircraft.files import write_json

FIGURES = 8  # pictures that are shown beside their labels
OnFile = Callable[[int, int], None]


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
    """Judge a detector by COCOeval.

    Scores are `AP50`, `AP75`, `mAP[50,95]` and, where there are several classes, `AP50 CLASS`. By picture:
    `AP50`, COCOeval's on that picture alone; pictures without objects have none.

    Args:
        weights: of `train`.
        root, pictures: as of `train`; the pictures may be others than those trained on.
        split: to judge on.
        output: folder for `result.json`, `detections_SPLIT.json` (COCO results), `labels_SPLIT.json` (what
            they were judged against) and `figures/` (labels and answer).
        runtime: where it runs.
        on_file: is called with the number of pictures done and their total.

    Raises:
        DatasetError: labels or pictures are missing, or differ in size; the output cannot be written.
        InputFileError: a file cannot be used, or an object has a class that the detector was not told of.
        SettingsError, ProgramError: a program is missing or failed.
    """
    detector = load_detector(weights, runtime)
    labels = find_boxes(root, split)
    targets = labels.targets(detector.classes)
    found = find_pictures(root, pictures, split)
    check_pictures(found, labels.coco.sizes_wh)
    stems = [entry.stem for entry in labels.coco.pictures]
    answers: dict[str, Detections] = {}
    for stem, _, answer in detector.detect((stem, found.read(stem)) for stem in stems):
        answers[stem] = answer
        if on_file is not None:
            on_file(len(answers), len(stems))
    results = labels.results(answers, detector.classes)
    by_id = picture_scores(labels.coco.document, results)
    by_picture = {entry.stem: by_id[entry.id] for entry in labels.coco.pictures if entry.id in by_id}
    scores = box_scores(labels.coco.document, results)
    remarks = (*labels.remarks, *_remarks(labels), *other_pictures(detector.pictures, pictures))
    result = TaskResult(TASK, split, pictures, scores, {"AP50": by_picture}, remarks)
    if output is not None:
        write_json(output / f"detections_{split}.json", results, indent=None)
        write_json(output / f"labels_{split}.json", labels.coco.document, indent=None)
        for k in range(0, len(stems), -(-len(stems) // FIGURES)):
            path = output / "figures" / f"{stems[k]}.png"
            _write_figure(path, found.read(stems[k]), targets[k], answers[stems[k]], detector.classes)
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
    """Detect on pictures without labels; a damaged one does not stop the others.

    Args:
        weights: of `train`.
        sources: pictures, or folders of them.
        output: folder for `detections.json` (boxes as x, y, width, height by picture) and
            `overlays/STEM.png`.
        runtime: where it runs.
        on_file: is called with the number of pictures done and their total.

    Raises:
        DatasetError: there is no picture, two share a name, or the output cannot be written.
        InputFileError: the weights cannot be used.
        SettingsError, ProgramError: a program is missing or failed.
    """
    detector = load_detector(weights, runtime)
    paths = list_pictures(sources)
    failures: list[str] = []

    def readable() -> Iterator[tuple[str, Rgb]]:
        for stem, path in paths.items():
            try:
                picture = read_rgb(path, infrared=detector.infrared)
            except InputFileError as error:
                failures.append(str(error))
            else:
                yield stem, picture

    listed: list[dict[str, Any]] = []
    for stem, picture, answer in detector.detect(readable()):
        listed.append(_listed(paths[stem].name, picture, answer, detector.classes))
        drawn = draw(picture, answer, detector.classes)
        write_rgb(output / "overlays" / f"{stem}.png", drawn)
        if on_file is not None:
            on_file(len(listed), len(paths) - len(failures))
    file = output / "detections.json"
    write_json(file, {"classes": list(detector.classes), "pictures": listed}, indent=None)
    return Predicted(file, len(listed), tuple(failures))


def _listed(name: str, picture: Rgb, found: Detections, classes: Sequence[str]) -> dict[str, Any]:
    objects = [
        {
            "class": classes[int(label)],
            "score": round(float(score), 6),
            "bbox": [round(float(v), 3) for v in (box[0], box[1], box[2] - box[0], box[3] - box[1])],
        }
        for box, score, label in zip(found.boxes_xyxy, found.scores, found.labels, strict=True)
    ]
    return {"file_name": name, "width": picture.shape[1], "height": picture.shape[0], "objects": objects}


def _remarks(labels: BoxLabels) -> list[str]:
    used = {record["category_id"] for record in labels.coco.annotations}
    absent = [name for k, name in labels.coco.categories.items() if k not in used]
    if not absent:
        return []
    listed = ", ".join(absent)
    return [f"the split {labels.coco.split!r} holds no {listed}: without a score, and left out of the mean"]


def _write_figure(
    path: Path, picture: Rgb, target: tuple[Any, Any], answer: Detections, classes: Sequence[str]
) -> None:
    boxes, numbers = target
    truth = Detections(boxes, np.ones(len(boxes)), numbers)
    row = [draw(picture, truth, classes, scored=False), draw(picture, answer, classes)]
    write_rgb(path, np.concatenate(row, axis=1))
