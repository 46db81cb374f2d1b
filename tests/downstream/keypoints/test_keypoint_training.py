"""Train, judge and use a tiny keypoint network from end to end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

timm = pytest.importorskip("timm")

import torch
from safetensors.torch import load_file, save_file

from fgfusion_model.downstream.fit import FitSummary
from fgfusion_model.downstream.keypoints import AugmentSettings, Settings, evaluate, predict, preset, train
from fgfusion_model.downstream.keypoints.estimation import load_estimator
from fgfusion_model.downstream.keypoints.network import make_network
from fgfusion_model.downstream.keypoints.training import KeypointProblem, load_labels, load_patches
from fgfusion_model.downstream.pictures import find_pictures
from fgfusion_model.downstream.results import read_result
from fgfusion_model.downstream.settings import FitSettings
from fgfusion_model.training.events import Remark, Validated
from fgfusion_model.training.runtime import Runtime
from keypoint_scenes import change_labels, labels_path, write_dataset
from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.errors import DatasetError, InputFileError, SettingsError

CPU = Runtime("cpu", threads=1, checkpoint_s=1e6)
TINY = Settings(
    network="hrnet_tiny",
    input_wh=(64, 32),
    sigma=1.0,
    fit=FitSettings(steps=6, batch=4, validate_every=2),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def run(root: Path, tmp_path_factory: pytest.TempPathFactory) -> FitSummary:
    return train(root, "visible", TINY, tmp_path_factory.mktemp("run") / "run", CPU)


def problem(root: Path, settings: Settings = TINY, pictures: str = "visible") -> KeypointProblem:
    labels = load_labels(root, "train", "")
    patches = load_patches(find_pictures(root, pictures), labels, settings)
    return KeypointProblem(settings, pictures, labels, patches)


def same(one: Path, other: Path) -> bool:
    """Say whether two files of weights hold the same, to the last bit."""
    left, right = load_file(one), load_file(other)
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_training_twice_gives_the_same_weights_to_the_last_bit(root: Path, run: FitSummary, tmp_path: Path):
    again = train(root, "visible", TINY, tmp_path / "again", CPU)
    assert same(again.weights, run.weights)
    assert set(run.scores) == {"mAP[50,95]", "mean OKS"}


def test_a_training_that_was_stopped_and_resumed_equals_one_that_was_not(
    root: Path, run: FitSummary, tmp_path: Path
):
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 3

    first = train(root, "visible", TINY, tmp_path / "run", CPU, stop=stop)
    assert (first.step, first.stopped) == (3, True)
    second = train(root, "visible", TINY, tmp_path / "run", CPU, resume=True)
    assert second.step == 6
    assert same(second.weights, run.weights)


def test_a_run_is_not_resumed_on_other_pictures(root: Path, tmp_path: Path):
    settings = replace(TINY, fit=replace(TINY.fit, steps=1))
    train(root, "visible", settings, tmp_path / "run", CPU, val="")
    (tmp_path / "visible").symlink_to(root / "infrared")  # of the same name, with other pixels
    with pytest.raises(SettingsError, match="other pictures or labels"):
        train(root, str(tmp_path / "visible"), settings, tmp_path / "run", CPU, val="", resume=True)


def test_order_and_augmentation_do_not_depend_on_the_pictures(root: Path):
    batches = [problem(root, TINY, name).make_batch([3, 1], [11, 12]) for name in ("visible", "infrared")]
    assert not torch.equal(batches[0][0], batches[1][0])
    for part in (1, 2):
        assert torch.equal(batches[0][part], batches[1][part])


def test_a_batch_holds_crops_their_labels_and_weights_by_visibility(root: Path):
    still = replace(TINY, augment=AugmentSettings(0, 0, 0, 0, 0, 0))
    crops, points, weights = problem(root, still).make_batch([0, 2], [1, 2])
    assert (tuple(crops.shape), crops.dtype) == ((2, 3, 32, 64), torch.uint8)
    tail, root_ = KEYPOINTS.index("Tail"), KEYPOINTS.index("Left_root")
    assert weights[0, tail] == 0.5  # occluded in the first picture
    assert weights[1, root_] == 0  # invisible in the third
    assert weights[0, root_] == 1
    head = points[0, 0].round().int()
    assert crops[0, :, head[1], head[0]].float().mean() > 150  # a white spot is drawn there


def test_a_mirrored_sample_exchanges_left_and_right(root: Path):
    still = AugmentSettings(0, 0, 0, 0, 0, 0)
    plain = problem(root, replace(TINY, augment=still)).make_batch([0], [5])
    flipped = problem(root, replace(TINY, augment=replace(still, flips=1.0))).make_batch([0], [5])
    left, right = KEYPOINTS.index("Left_front"), KEYPOINTS.index("Right_front")
    assert torch.allclose(flipped[1][0, left, 0], 63 - plain[1][0, right, 0])
    assert torch.allclose(flipped[1][0, 0, 0], 63 - plain[1][0, 0, 0])
    assert (flipped[0].flip(-1).float() - plain[0].float()).abs().mean() < 1


def test_evaluation_writes_what_it_says(root: Path, run: FitSummary, tmp_path: Path):
    seen: list[tuple[int, int]] = []
    result = evaluate(
        run.weights,
        root,
        "visible",
        output=tmp_path,
        runtime=CPU,
        on_file=lambda *n: seen.append(n),
        figures=3,
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert read_result(tmp_path / "result.json") == result
    assert len(json.loads((tmp_path / "keypoints_results.json").read_text())) == 4
    assert len((tmp_path / "drift.csv").read_text().splitlines()) == 1 + 4 * 9
    sheet = cv2.imread(str(tmp_path / "sheet_01.png"))
    assert sheet is not None
    assert sheet.shape[1] > 1000
    assert set(result.per_picture["OKS"]) == {f"test_0000{n}" for n in (12, 13, 14, 15)}
    assert "top-down" in result.remarks[0]
    assert not [remark for remark in result.remarks if "sigmas" in remark]
    assert evaluate(run.weights, root, "visible", runtime=CPU) == result


def test_a_network_judged_on_other_pictures_than_its_own_is_remarked(root: Path, run: FitSummary):
    assert "trained on 'visible'" in evaluate(run.weights, root, "infrared", runtime=CPU).remarks[-1]


def test_labels_without_sigmas_are_remarked(run: FitSummary, tmp_path: Path):
    other = write_dataset(tmp_path, {"test": 2}, sigmas=False)
    assert any("0.05" in remark for remark in evaluate(run.weights, other, "visible", runtime=CPU).remarks)


def test_labels_of_other_keypoints_than_the_network_s_are_refused(run: FitSummary, tmp_path: Path):
    other = write_dataset(tmp_path, {"test": 2})
    category = {"id": 1, "name": "aircraft", "keypoints": [f"k{n}" for n in range(9)]}
    change_labels(other, "test", categories=[category])
    with pytest.raises(DatasetError, match="judge it on the labels of its own kind"):
        evaluate(run.weights, other, "visible", runtime=CPU)


def test_a_split_without_labels_is_refused_and_the_others_named(root: Path, tmp_path: Path):
    with pytest.raises(DatasetError, match=r"no labels for the split 'night'.*test, train, val"):
        train(root, "visible", TINY, tmp_path, CPU, split="night")


def test_without_a_split_val_the_network_is_not_looked_at(root: Path, tmp_path: Path):
    other = write_dataset(tmp_path / "data", {"train": 4})
    events: list[object] = []
    settings = replace(TINY, fit=replace(TINY.fit, steps=1))
    fused = other / "infrared"
    done = train(other, str(fused), settings, tmp_path / "run", CPU, on_event=events.append)
    assert any("no split 'val'" in event.text for event in events if isinstance(event, Remark))
    with pytest.raises(DatasetError, match="no labels for the split 'val'"):
        train(other, "visible", settings, tmp_path / "other", CPU, val="val")
    estimator = load_estimator(done.weights, torch.device("cpu"))
    assert (estimator.pictures, estimator.infrared) == (str(fused), False)  # a fused folder of that name


def test_a_method_that_left_pictures_out_is_refused(root: Path, tmp_path: Path):
    fused = tmp_path / "fused"
    fused.mkdir()
    for path in sorted((root / "visible").iterdir())[1:]:
        (fused / path.name).write_bytes(path.read_bytes())
    with pytest.raises(DatasetError, match="1 of 4 pictures are missing"):
        train(root, str(fused), TINY, tmp_path / "run", CPU, split="test", val="")
    assert cv2.imwrite(str(fused / "test_000012.png"), np.zeros((96, 100, 3), np.uint8))
    with pytest.raises(DatasetError, match="100x96, not 160x96"):
        train(root, str(fused), TINY, tmp_path / "run", CPU, split="test", val="")


def test_first_weights_come_from_a_file_of_the_library_s_layout(tmp_path: Path):
    settings = replace(TINY, network="hrnet_w18_small")
    whole = timm.create_model("hrnet_w18_small", pretrained=False)
    save_file(whole.state_dict(), tmp_path / "hrnet.safetensors")
    body: Any = make_network(replace(settings, init=str(tmp_path / "hrnet.safetensors")), 9).body
    assert torch.equal(body.conv1.weight, whole.conv1.weight)
    assert torch.equal(
        body.stage4[-1].branches[0][0].conv1.weight, whole.stage4[-1].branches[0][0].conv1.weight
    )
    with pytest.raises(InputFileError, match=r"first weights|lacks"):
        make_network(replace(settings, network="hrnet_w18", init=str(tmp_path / "hrnet.safetensors")), 9)
    with pytest.raises(InputFileError, match="cannot be used as first weights"):
        make_network(replace(settings, init=str(tmp_path / "none.safetensors")), 9)


def test_pretrained_weights_that_cannot_be_had_say_what_else_there_is(monkeypatch: pytest.MonkeyPatch):
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(SettingsError, match=r"no route to host.*'random', or the path"):
        make_network(replace(TINY, network="hrnet_w18_small", init="imagenet"), 9)


def test_hrnet_w32_gives_heatmaps_at_a_quarter_of_the_crop():
    network = make_network(replace(preset("paper"), input_wh=(64, 32)), 9)
    with torch.no_grad():
        assert network.eval()(torch.zeros(1, 3, 32, 64, dtype=torch.uint8)).shape == (1, 9, 8, 16)
    assert 28e6 < sum(p.numel() for p in network.parameters()) < 30e6
    assert all(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_every_weight_takes_part(root: Path, loss: Any):
    found = problem(root, replace(TINY, loss=loss))
    network = found.make_network()
    found.loss(network, found.make_batch([0, 1], [1, 2])).backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None]


def test_prediction_takes_the_whole_picture_or_the_boxes_of_a_coco_file(
    root: Path, run: FitSummary, tmp_path: Path
):
    boxes = labels_path(root, "test")
    pictures = sorted((root / "visible").glob("test_*.png"))
    found = predict(run.weights, pictures, tmp_path / "boxes", boxes=boxes, draw=True, runtime=CPU)
    results = json.loads(found.answers.read_text())
    assert [entry["image_id"] for entry in results] == [12, 13, 14, 15]
    assert [entry["file_name"] for entry in results] == [path.name for path in pictures]
    judged = tmp_path / "eval"
    evaluate(run.weights, root, "visible", output=judged, runtime=CPU, figures=0)
    own = json.loads((judged / "keypoints_results.json").read_text())
    for one, other in zip(results, own, strict=True):
        assert one["keypoints"] == pytest.approx(other["keypoints"], abs=0.01)
    assert [path.name for path in found.drawn] == [path.name for path in pictures]
    whole = predict(run.weights, root / "visible", tmp_path / "whole", runtime=CPU)
    assert (whole.objects, whole.pictures) == (15, 15)


def test_a_picture_that_cannot_be_read_is_left_out_and_named(root: Path, run: FitSummary, tmp_path: Path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    good = next((root / "visible").glob("test_*.png"))
    found = predict(run.weights, [tmp_path / "bad.png", good], tmp_path / "out", runtime=CPU)
    assert (found.objects, found.pictures) == (1, 1)
    assert "bad.png" in found.failures[0]


def test_pictures_that_the_boxes_do_not_know_are_refused(root: Path, run: FitSummary, tmp_path: Path):
    with pytest.raises(DatasetError, match="has no entry for 11 of 15 pictures"):
        predict(run.weights, root / "visible", tmp_path, boxes=labels_path(root, "test"), runtime=CPU)
    with pytest.raises(DatasetError, match="does not exist"):
        predict(run.weights, tmp_path / "none", tmp_path, runtime=CPU)


def test_weights_of_another_program_are_refused(run: FitSummary, root: Path, tmp_path: Path):
    save_file(load_file(run.weights), tmp_path / "bare.safetensors")
    with pytest.raises(InputFileError, match="another program"):
        evaluate(tmp_path / "bare.safetensors", root, "visible", runtime=CPU)


@pytest.mark.slow
def test_eight_pictures_are_overfitted_to_the_ceiling(tmp_path: Path):
    root = write_dataset(tmp_path / "dataset", {"train": 8})
    settings = replace(
        preset("small"), fit=replace(preset("small").fit, steps=400, batch=8, validate_every=0.0)
    )
    told: list[object] = []
    done = train(root, "visible", settings, tmp_path / "run", CPU, val="", on_event=told.append)
    assert not [event for event in told if isinstance(event, Validated)]
    result = evaluate(done.weights, root, "visible", split="train", runtime=CPU)
    assert (result.scores["mAP[50,95]"] or 0) > 0.95
    assert (result.scores["mean share[OKS 0.50-0.95]"] or 0) > 0.95
