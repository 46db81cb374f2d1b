"""A detector trained on small folders: repeatable, resumable, judged by pycocotools; YOLO by a stand-in."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from safetensors.torch import load_file

from fgfusion_model.downstream import detection
from fgfusion_model.downstream.detection import ProgramError, Settings, YoloSettings, preset
from fgfusion_model.downstream.detection.boxes import find_boxes
from fgfusion_model.downstream.detection.network import make_network
from fgfusion_model.downstream.detection.problem import Detection
from fgfusion_model.downstream.detection.samples import augmented, load_samples
from fgfusion_model.downstream.detection.yolo_files import read_yolo_answers
from fgfusion_model.downstream.detection.yolo_program import TrainOrder, predict_arguments, train_arguments
from fgfusion_model.downstream.results import read_result
from fgfusion_model.downstream.settings import FitSettings
from fgfusion_model.training.runtime import Runtime
from torch_threads import one_torch_thread
from vircraft.errors import DatasetError, InputFileError, SettingsError

CPU = Runtime("cpu", threads=1)
CLASSES = ("green", "blue")
TINY = Settings(
    backbone="resnet18",
    channels=64,
    head_convs=1,
    longest=64,
    fit=FitSettings(batch=2, steps=2, optimiser="sgd", validate_every=0),
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with one_torch_thread():
        yield


def make_folder(root: Path, count: int = 4, wh: tuple[int, int] = (96, 72)) -> Path:
    """Write COCO labels of two rectangles a picture, one of each class, and visible and infrared pictures."""
    rng = np.random.default_rng(0)
    document: dict[str, Any] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": k, "name": name} for k, name in enumerate(CLASSES, 1)],
    }
    for folder in ("annotations", "visible", "infrared"):
        (root / folder).mkdir(parents=True)
    for k in range(1, count + 1):
        picture = np.full((wh[1], wh[0], 3), 90, np.uint8)
        document["images"].append(
            {"id": k, "file_name": f"infrared/{k}.png", "width": wh[0], "height": wh[1]}
        )
        for number, colour in ((1, (30, 200, 60)), (2, (200, 60, 40))):
            w, h = (int(v) for v in rng.integers(wh[0] // 7, wh[0] // 3, 2))
            x = (number - 1) * wh[0] // 2 + int(rng.integers(0, wh[0] // 2 - w))
            y = int(rng.integers(0, wh[1] - h))
            picture[y : y + h, x : x + w] = colour
            document["annotations"].append(
                {"id": 2 * k + number - 2, "image_id": k, "category_id": number, "bbox": [x, y, w, h]}
            )
        picture = np.clip(picture + rng.normal(0, 12, picture.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(root / "visible" / f"{k}.png"), picture)
        cv2.imwrite(str(root / "infrared" / f"{k}.png"), picture.mean(2).astype(np.uint8))
    for split in ("train", "test"):
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(document))
    return root


def test_the_paper_preset_takes_the_published_epochs_and_batch() -> None:
    assert (preset("paper").fit.epochs, preset("paper").fit.batch) == (300, 8)


def test_the_same_seed_gives_the_same_weights_and_an_evaluation_equals_pycocotools(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data")
    runs = [detection.train(root, "visible", TINY, tmp_path / name, CPU) for name in ("a", "b")]
    ours, theirs = (load_file(run.weights) for run in runs)
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    result = detection.evaluate(runs[0].weights, root, "visible", output=tmp_path / "out", runtime=CPU)
    with contextlib.redirect_stdout(io.StringIO()):
        labels = COCO(str(tmp_path / "out" / "labels_test.json"))
        judge = COCOeval(labels, labels.loadRes(str(tmp_path / "out" / "detections_test.json")), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    assert [result.scores[name] for name in ("mAP[50,95]", "AP50", "AP75")] == list(judge.stats[:3])
    assert result.per_picture["AP50"].keys() == {"1", "2", "3", "4"}
    assert read_result(tmp_path / "out" / "result.json") == result
    assert (tmp_path / "out" / "figures" / "1.png").is_file()
    (tmp_path / "bad.png").write_bytes(b"no picture")
    found = detection.predict(
        runs[0].weights, [root / "visible" / "2.png", tmp_path / "bad.png"], tmp_path / "found", CPU
    )
    assert (found.pictures, len(found.failures)) == (1, 1)
    assert json.loads(found.answers.read_text())["pictures"][0]["file_name"] == "2.png"


def test_what_a_step_sees_is_the_same_whatever_the_pictures_are(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data")
    batches = []
    for choice in ("visible", "infrared"):
        samples = load_samples(root, find_boxes(root, "train"), choice, CLASSES, 64)
        batches.append(Detection(TINY, CLASSES, samples, None, False).make_batch([0, 3], [11, 12]))
    assert torch.equal(batches[0][1], batches[1][1])
    assert torch.equal(batches[0][2], batches[1][2])
    assert not torch.equal(batches[0][0], batches[1][0])


@pytest.mark.parametrize("seed", range(8))
def test_boxes_move_with_their_pictures(tmp_path: Path, seed: int) -> None:
    root = make_folder(tmp_path / "data")
    samples = load_samples(root, find_boxes(root, "train"), "visible", CLASSES, 96)
    view = augmented(samples, 1, replace(TINY, scale=(0.6, 1.6)), seed)
    for box, number in zip(view.boxes, view.classes, strict=True):
        left, top, right, bottom = np.rint(box).astype(int)
        inner = view.picture[top + 1 : bottom - 1, left + 1 : right - 1].reshape(-1, 3)
        expected = ((60, 200, 30), (40, 60, 200))[number]  # RGB
        assert np.abs(inner.mean(0) - expected).max() < 6
        frame = view.picture[max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2]
        of_class = np.abs(frame.astype(int) - expected).max(2) < 60
        across, down = of_class.any(0).sum(), of_class.any(1).sum()
        assert abs(across - (right - left)) <= 2
        assert abs(down - (bottom - top)) <= 2


def test_a_step_without_any_box_has_a_loss(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data", 2)
    samples = load_samples(root, find_boxes(root, "train"), "visible", CLASSES, 64)
    problem = Detection(TINY, CLASSES, samples, None, False)
    images, boxes, classes = problem.make_batch([0, 1], [1, 2])
    loss = problem.loss(problem.make_network(), (images, boxes, torch.full_like(classes, -1)))
    assert torch.isfinite(loss)


def test_the_batch_norms_of_a_network_from_scratch_learn() -> None:
    norms = [m for m in make_network(TINY, 2).modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(norms) == 20
    assert all(p.requires_grad for norm in norms for p in norm.parameters())


def test_a_split_without_objects_and_missing_pictures_are_refused(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data", 2)
    (root / "visible" / "2.png").unlink()
    with pytest.raises(DatasetError, match=r"1 of 2 pictures are missing \(2\)"):
        detection.train(root, "visible", TINY, tmp_path / "run", CPU)
    path = root / "annotations" / "instances_train.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "annotations": []}))
    with pytest.raises(DatasetError, match="holds no object to train on"):
        detection.train(root, "infrared", TINY, tmp_path / "run", CPU)


# A stand-in for the program of ultralytics: it notes its arguments, keeps the labels as its weights when it
# trains, and answers with them when it predicts.
STAND_IN = """
import json, pathlib, re, shutil, sys
values = dict(word.split("=", 1) for word in sys.argv[3:])
out = pathlib.Path(values["project"], values["name"]) if "project" in values else None
here = pathlib.Path(__file__).parent
with (here / "calls.jsonl").open("a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
if (here / "fail").exists():
    sys.exit("the stand-in was told to fail")
if sys.argv[2] == "train":
    data = pathlib.Path(re.search(r'path: "(.*)"', pathlib.Path(values["data"]).read_text())[1])
    (out / "weights").mkdir(parents=True)
    lines = {p.stem: p.read_text() for p in sorted((data / "labels" / "train").iterdir())}
    (out / "weights" / "best.pt").write_text(json.dumps(lines))
else:
    (out / "labels").mkdir(parents=True)
    for name, text in json.loads(pathlib.Path(values["model"]).read_text()).items():
        lines = [line + " 0.75" for line in text.splitlines()]
        (out / "labels" / f"{name}.txt").write_text("\\n".join(lines))
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a stand-in for `yolo` on the PATH; return its folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "yolo").write_text(f"#!{sys.executable}\n{STAND_IN}")
    (folder / "yolo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_a_yolo_program_is_given_its_data_and_its_answers_are_judged(tmp_path: Path, program: Path) -> None:
    root = make_folder(tmp_path / "data")
    settings = replace(preset("paper"), detector="yolo", fit=FitSettings(epochs=3, batch=8, seed=5))
    run = tmp_path / "run"
    summary = detection.train(root, "infrared", settings, run, CPU)
    assert summary.weights == run / "yolo.json"
    data = run / "yolo-data"
    config = (data / "data.yaml").read_text()
    assert "train: images/train\nval: images/train\n" in config  # no other split to look at
    assert '0: "green"' in config
    x, y, w, h = json.loads((root / "annotations/instances_train.json").read_text())["annotations"][0]["bbox"]
    first = [float(v) for v in (data / "labels/train/000001.txt").read_text().splitlines()[0].split()]
    assert first == pytest.approx([0, (x + w / 2) / 96, (y + h / 2) / 72, w / 96, h / 72], abs=1e-6)
    assert cv2.imread(str(data / "images/train/000004.png")).shape == (72, 96, 3)
    result = detection.evaluate(summary.weights, root, "infrared", output=tmp_path / "out", runtime=CPU)
    assert result.scores["AP50"] == pytest.approx(1)
    assert result.scores["mAP[50,95]"] == pytest.approx(1)
    calls = [json.loads(line) for line in (program / "calls.jsonl").read_text().splitlines()]
    assert calls[0][:2] == ["detect", "train"]
    assert {"model=yolov5s.pt", "epochs=3", "batch=8", "seed=5", "imgsz=640", "device=cpu"} <= set(calls[0])
    assert calls[1][:2] == ["detect", "predict"]
    assert {"save_txt=True", "save_conf=True"} <= set(calls[1])
    again = detection.train(root, "infrared", settings, run, CPU, resume=True)
    assert (again.weights, again.samples_per_s) == (run / "yolo.json", 0)
    with pytest.raises(DatasetError, match="holds a run already"):
        detection.train(root, "infrared", settings, run, CPU)


def test_a_yolo_program_that_fails_or_is_missing_says_what_to_do(
    tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder(tmp_path / "data", 2)
    settings = replace(preset("small"), detector="yolo")
    (program / "fail").touch()
    with pytest.raises(ProgramError, match=r"ended with code 1; it said last: the stand-in was told to fail"):
        detection.train(root, "visible", settings, tmp_path / "run", CPU)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match=r"'yolo' is not on the PATH.*pip install ultralytics.*fcos"):
        detection.train(root, "visible", settings, tmp_path / "other", CPU)


def test_a_yolo_program_ends_when_asked_to_stop(tmp_path: Path, program: Path) -> None:
    (program / "yolo").write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    root = make_folder(tmp_path / "data", 2)
    settings = replace(preset("small"), detector="yolo")
    summary = detection.train(root, "visible", settings, tmp_path / "run", CPU, stop=lambda: True)
    assert summary.stopped
    assert not summary.weights.exists()


def test_the_package_yolov5_has_its_own_words(tmp_path: Path) -> None:
    order = TrainOrder(tmp_path / "data.yaml", "yolov5s.pt", 300, 8, 640, 1, tmp_path, "program")
    words = train_arguments("yolov5", order)
    assert words[0] == "train"
    assert words[words.index("--weights") + 1] == "yolov5s.pt"
    assert words[words.index("--img") + 1] == "640"
    words = predict_arguments("yolov5", tmp_path / "best.pt", tmp_path, 640, tmp_path, "answers")
    assert words[0] == "detect"
    assert {"--save-txt", "--save-conf", "--conf-thres"} <= set(words)


def test_yolo_answers_become_boxes_best_first_and_nonsense_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("0 0.5 0.5 0.5 0.5 0.2\n1 0.1 0.5 0.4 1 0.9\n")
    found = read_yolo_answers(path, (100, 40), 2)
    assert found.boxes_xyxy == pytest.approx(np.array([[0, 0, 30, 40], [25, 10, 75, 30]]))
    assert (found.scores.tolist(), found.labels.tolist()) == ([0.9, 0.2], [1, 0])
    assert len(read_yolo_answers(tmp_path / "none.txt", (100, 40), 2).scores) == 0
    for text in ("2 0.5 0.5 0.5 0.5 0.2", "0 0.5 0.5 0.5 0.5", "0 nan 0.5 0.5 0.5 0.2", "car"):
        path.write_text(text)
        with pytest.raises(InputFileError, match="line 1 is"):
            read_yolo_answers(path, (100, 40), 2)


def test_the_record_of_a_yolo_run_cannot_name_weights_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "secret.pt").touch()
    record = {"format": "vircraft-yolo-1", "program": "yolo", "model": "../secret.pt", "classes": ["a"]}
    path = tmp_path / "run" / "yolo.json"
    path.write_text(json.dumps({**record, "size": 640, "infrared": False}))
    with pytest.raises(InputFileError, match="are not in its folder"):
        detection.evaluate(path, tmp_path, "visible")
    assert YoloSettings().model == "yolov5s.pt"


@pytest.mark.slow
def test_eight_pictures_are_learnt_to_an_ap50_above_0_95(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data", 8, (128, 96))
    small = preset("small")
    fit = replace(small.fit, steps=150, batch=4, validate_every=0)
    settings = replace(small, scale=(1.0, 1.0), flip=False, light=0.0, fit=fit)
    weights = detection.train(root, "visible", settings, tmp_path / "run", CPU).weights
    result = detection.evaluate(weights, root, "visible", split="train", runtime=CPU)
    assert result.scores["AP50"] is not None
    assert result.scores["AP50"] > 0.95
