"""A segmentation network trained on small folders: repeatable, resumable, judged at full size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.metrics import jaccard_score
from torch import nn

from fgfusion_model.downstream import segmentation
from fgfusion_model.downstream.network_input import FILL, normalised
from fgfusion_model.downstream.results import read_result
from fgfusion_model.downstream.segmentation import Settings, preset
from fgfusion_model.downstream.segmentation.judge import Segmenter, _check_names
from fgfusion_model.downstream.segmentation.label_maps import LabelMaps, find_label_maps
from fgfusion_model.downstream.segmentation.network import make_network
from fgfusion_model.downstream.segmentation.problem import Segmentation
from fgfusion_model.downstream.segmentation.samples import augmented, load_samples
from fgfusion_model.downstream.settings import FitSettings
from fgfusion_model.training.events import Event, Remark
from fgfusion_model.training.runtime import Runtime
from torch_threads import one_torch_thread
from vircraft.errors import DatasetError, InputFileError, SettingsError

COLOURS = ((90, 90, 90), (30, 200, 60), (200, 60, 40), (60, 60, 220))
CLASSES = ("background", "green", "blue", "red")
CPU = Runtime("cpu", threads=1)
TINY = Settings(
    encoder="mobilenet_v2",  # the smallest to save
    channels=16,
    atrous_rates=(1, 2, 3),
    classes=CLASSES,
    longest=48,
    crop_wh=(48, 32),
    fit=FitSettings(batch=2, steps=4, validate_every=0),
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with one_torch_thread():
        yield


def write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)


def scene(rng: np.random.Generator, wh: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return a BGR picture of coloured rectangles and noise, and its label map."""
    label = np.zeros(wh[::-1], np.uint8)
    for number in (1, 2, 3):
        w, h = (int(rng.integers(side // 4, side // 3)) for side in wh)
        x, y = int(rng.integers(0, wh[0] - w)), int(rng.integers(0, wh[1] - h))
        label[y : y + h, x : x + w] = number
    picture = np.array(COLOURS)[label] + rng.normal(0, 12, (*label.shape, 3))
    return np.clip(picture, 0, 255).astype(np.uint8), label


def make_folder(root: Path, count: int = 4, wh: tuple[int, int] = (64, 44)) -> Path:
    """Write a folder as MSRS has it, whose infrared pictures are the grey of the visible ones."""
    rng = np.random.default_rng(5)
    for split in ("train", "test"):
        for k in range(count):
            picture, label = scene(rng, wh)
            write(root / split / "vi" / f"{k}.png", picture)
            write(root / split / "ir" / f"{k}.png", picture.mean(2).astype(np.uint8))
            write(root / split / "Segmentation_labels" / f"{k}.png", label)
    return root


def assert_same_weights(a: Path, b: Path) -> None:
    ours, theirs = load_file(a), load_file(b)
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_the_paper_preset_is_the_published_recipe() -> None:
    paper = preset("paper")
    fit = paper.fit
    assert (paper.encoder, fit.optimiser, fit.learning_rate, fit.weight_decay) == (
        "resnet50",
        "adam",
        1e-3,
        5e-4,
    )
    assert (fit.learning_rate, fit.weight_decay) == (1e-3, 5e-4)


def test_a_stopped_and_resumed_training_equals_one_that_was_not(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data")
    events: list[Event] = []
    whole = segmentation.train(root, "visible", TINY, tmp_path / "whole", CPU, on_event=events.append)
    assert any("no split 'val'" in e.text for e in events if isinstance(e, Remark))
    asked = iter([False, True])
    part = segmentation.train(root, "visible", TINY, tmp_path / "part", CPU, stop=lambda: next(asked))
    assert (part.step, part.stopped) == (2, True)
    segmentation.train(root, "visible", TINY, tmp_path / "part", CPU, resume=True)
    assert_same_weights(whole.weights, part.weights)
    with pytest.raises(SettingsError, match="other pictures or labels"):
        segmentation.train(root, str(root / "train" / "ir"), TINY, tmp_path / "part", CPU, resume=True)


def test_a_validation_split_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data", 2)
    with pytest.raises(DatasetError, match="no label maps for the split 'held'"):
        segmentation.train(root, "visible", TINY, tmp_path / "run", CPU, val="held")
    with pytest.raises(DatasetError, match="no label maps for the split 'val'"):
        segmentation.train(root, "visible", TINY, tmp_path / "run", CPU, val="val")
    fit = replace(TINY.fit, steps=1, validate_every=1)
    summary = segmentation.train(root, "visible", replace(TINY, fit=fit), tmp_path / "run", CPU, val="test")
    assert 0 <= summary.scores["mIoU"] <= 1
    remarks = segmentation.evaluate(summary.weights, root, "infrared", runtime=CPU).remarks
    assert "the network was told background, green" in remarks[-2]
    assert "trained on 'visible'" in remarks[-1]


def test_scores_equal_scikit_learns_on_the_label_maps_that_predict_writes(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data")
    weights = segmentation.train(root, "visible", TINY, tmp_path / "run", CPU).weights
    result = segmentation.evaluate(weights, root, "visible", output=tmp_path / "out", runtime=CPU)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    found = segmentation.predict(weights, [root / "test" / "vi", bad], tmp_path / "found", CPU)
    files = sorted(found.answers.iterdir())
    assert (found.pictures, len(files), len(found.failures)) == (4, 4, 1)
    answers = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in files]
    folder = root / "test" / "Segmentation_labels"
    labels = [cv2.imread(str(folder / path.name), cv2.IMREAD_UNCHANGED) for path in files]
    assert answers[0].shape == (44, 64)  # the network saw 48 x 33
    flat = [np.concatenate([picture.ravel() for picture in stack]) for stack in (labels, answers)]
    expected = jaccard_score(*flat, average=None, labels=range(4), zero_division=0)
    assert [result.scores[f"IoU {name}"] for name in CLASSES] == pytest.approx(list(expected))
    assert list(result.scores)[-1] == "mIoU"
    assert result.per_picture["mIoU"].keys() == {"0", "1", "2", "3"}
    assert read_result(tmp_path / "out" / "result.json") == result
    assert (tmp_path / "out" / "confusion.csv").is_file()
    assert (tmp_path / "out" / "figures" / "0.png").is_file()


def test_crops_are_the_same_whatever_the_pictures_are(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data")
    maps = find_label_maps(root, "train")
    batches = []
    for choice in ("visible", "infrared"):
        samples = load_samples(root, maps, choice, 4, 0)
        problem = Segmentation(replace(TINY, scale=(0.5, 2.0)), CLASSES, samples, None, False)
        batches.append(problem.make_batch([0, 3, 1], [11, 12, 13]))
    assert torch.equal(batches[0][1], batches[1][1])
    assert not torch.equal(batches[0][0], batches[1][0])


@pytest.mark.parametrize("seed", range(6))
def test_a_crop_moves_picture_and_classes_together(seed: int) -> None:
    label = np.kron(np.arange(12, dtype=np.uint8).reshape(3, 4), np.ones((16, 16), np.uint8))
    picture = np.repeat(label[..., None] * 20, 3, axis=2)
    settings = replace(TINY, crop_wh=(80, 64), scale=(1.0, 1.0))
    crop, classes = augmented(picture, label, settings, seed)
    inside = classes != 255
    assert inside.sum() == label.size  # the crop is larger: all of the picture is in it
    assert np.array_equal(crop[inside][:, 0], classes[inside] * 20)
    enlarged, classes = augmented(picture, label, replace(settings, scale=(2.0, 2.0)), seed)
    borders = cv2.morphologyEx(classes, cv2.MORPH_GRADIENT, np.ones((5, 5)))  # 255 is no class
    even = (borders == 0) & (classes != 255)
    even[[0, -1]], even[:, [0, -1]] = False, False  # the picture's own edge may lie there
    assert even.sum() > 1000
    assert np.array_equal(enlarged[even][:, 0], classes[even] * 20)


def test_a_batch_of_pixels_without_a_class_gives_a_loss_of_zero(tmp_path: Path) -> None:
    samples = load_samples(make_folder(tmp_path), find_label_maps(tmp_path, "train"), "visible", 4, 48)
    problem = Segmentation(TINY, CLASSES, samples, None, False)
    images, labels = problem.make_batch([0, 1], [1, 2])
    loss = problem.loss(problem.make_network().eval(), (images, torch.full_like(labels, 255)))
    assert loss.item() == 0


def test_pictures_of_another_size_than_their_labels_are_refused(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data", 2)
    fused = tmp_path / "fused"
    write(fused / "0.png", np.zeros((44, 64), np.uint8))
    with pytest.raises(DatasetError, match=r"1 of 2 pictures are missing \(1\)"):
        segmentation.train(root, str(fused), TINY, tmp_path / "run", CPU)
    write(fused / "1.png", np.zeros((22, 32), np.uint8))
    with pytest.raises(DatasetError, match=r"1\.png is 32x22, not 64x44"):
        segmentation.train(root, str(fused), TINY, tmp_path / "run", CPU)


def test_a_network_is_not_judged_on_labels_of_other_classes() -> None:
    maps = LabelMaps(Path("x"), "test", {}, {}, names=("background", "aircraft"))
    network = Segmenter(
        nn.Identity(), replace(TINY, classes=()), ("road", "car"), False, "", torch.device("cpu")
    )
    with pytest.raises(DatasetError, match=r"has the classes background, aircraft, and .* on road, car"):
        _check_names(network, maps)
    assert _check_names(network, replace(maps, names=("road", "car"))) == ()
    assert _check_names(network, replace(maps, names=())) == ()


def test_a_class_id_outside_the_map_is_refused_before_training(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data", 2)
    with pytest.raises(InputFileError, match=re.escape("holds the class ids 3, and there are 3 classes")):
        segmentation.train(root, "visible", replace(TINY, classes=CLASSES[:3]), tmp_path / "run", CPU)


def test_first_weights_come_from_a_file_of_the_encoder_or_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = make_network(TINY, 4).get_submodule("encoder")
    save_file({**encoder.state_dict(), "fc.weight": torch.zeros(3)}, tmp_path / "first.safetensors")
    network = make_network(replace(TINY, init=str(tmp_path / "first.safetensors")), 4)
    assert torch.equal(
        network.get_submodule("encoder.features.0.0").weight, encoder.get_submodule("features.0.0").weight
    )
    save_file({"features.0.0.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(InputFileError, match="is of another encoder"):
        make_network(replace(TINY, init=str(tmp_path / "other.safetensors")), 4)

    shapes = {name: torch.zeros(3) for name in encoder.state_dict()}
    save_file(shapes, tmp_path / "shapes.safetensors")
    with pytest.raises(InputFileError, match=r"is of another encoder .*shape"):
        make_network(replace(TINY, init=str(tmp_path / "shapes.safetensors")), 4)

    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("segmentation_models_pytorch.DeepLabV3Plus", offline)
    with pytest.raises(SettingsError, match="weights of mobilenet_v2 cannot be had"):
        make_network(replace(TINY, init="imagenet"), 4)


def test_a_batch_of_one_is_refused_and_so_is_an_odd_crop() -> None:
    with pytest.raises(SettingsError, match="batch is 1"):
        replace(TINY, fit=replace(TINY.fit, batch=1))
    with pytest.raises(SettingsError, match="multiples of 16"):
        replace(TINY, crop_wh=(50, 48))


def test_a_picture_of_mean_colour_is_zero_to_the_network() -> None:
    mean = np.array([0.485, 0.456, 0.406])
    assert np.rint(mean * 255).tolist() == list(FILL)
    assert np.abs(normalised(np.full((2, 2, 3), mean, np.float32))).max() < 1e-6


@pytest.mark.slow
def test_eight_pictures_are_learnt_to_an_iou_above_0_95(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data", 8, (128, 96))
    small = preset("small")
    fit = replace(small.fit, steps=120, learning_rate=2e-3, validate_every=0)
    settings = replace(small, longest=0, crop_wh=(128, 96), scale=(1.0, 1.0), classes=CLASSES, fit=fit)
    weights = segmentation.train(root, "visible", settings, tmp_path / "run", CPU).weights
    result = segmentation.evaluate(weights, root, "visible", split="train", runtime=CPU)
    assert result.scores["mIoU"] is not None
    assert result.scores["mIoU"] > 0.95
