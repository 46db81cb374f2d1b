"""What a pair is decoded to, and what is left out when it cannot be."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import training_pairs
from fgfusion_model.data import Source, TrainingPair, find_pairs, load_pairs
from fgfusion_model.data.pictures import UNKNOWN, read_planes
from fgfusion_model.data.saliency import saliency_mask
from vircraft.errors import SettingsError

CPU = torch.device("cpu")


def pairs(root: Path) -> tuple[TrainingPair, ...]:
    return find_pairs([Source(root)])[0].pairs


def test_visible_colour_becomes_luminance_and_infrared_stays(tmp_path: Path) -> None:
    infrared, visible, _ = training_pairs.scene(0)
    root = training_pairs.folders(tmp_path, 1)
    planes = read_planes(pairs(root)[0], infrared.shape, stand_in=True)
    grey = np.rint(visible.astype(np.float64) @ (0.114, 0.587, 0.299))
    assert np.array_equal(planes[0], infrared)
    assert np.abs(planes[1] - grey).max() <= 1


def test_raw_counts_of_16_bits_are_spread_over_the_range(tmp_path: Path) -> None:
    infrared, visible, _ = training_pairs.scene(0)
    training_pairs.write(tmp_path / "infrared" / "a.png", infrared.astype(np.uint16) * 4 + 7000)
    training_pairs.write(tmp_path / "visible" / "a.png", visible.astype(np.uint16) * 257)
    planes = read_planes(pairs(tmp_path)[0], infrared.shape, stand_in=True)
    assert planes[0].min() == 0
    assert planes[0].max() == 255
    order = np.argsort(infrared, axis=None)
    assert (np.diff(planes[0].ravel()[order].astype(int)) >= 0).all()
    grey = np.rint(visible.astype(np.float64) @ (0.114, 0.587, 0.299))
    assert np.abs(planes[1] - grey).max() <= 1


def test_without_labels_the_mask_is_saliency_or_unknown(tmp_path: Path) -> None:
    infrared, _, mask = training_pairs.scene(0)
    root = training_pairs.folders(tmp_path, 1)
    stood_in = read_planes(pairs(root)[0], infrared.shape, stand_in=True)[2]
    assert (stood_in[mask == 1]).mean() > 0.9
    assert (stood_in[mask == 0]).mean() < 0.05
    assert (read_planes(pairs(root)[0], infrared.shape, stand_in=False)[2] == UNKNOWN).all()


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_constant_picture_has_no_salient_foreground(level: int) -> None:
    assert not saliency_mask(np.full((40, 60), level, np.uint8)).any()


@pytest.mark.parametrize("seed", range(5))
def test_salient_foreground_never_takes_more_than_a_quarter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = cv2.resize(rng.integers(0, 255, (9, 9)).astype(np.uint8), (90, 70))
    assert saliency_mask(picture).mean() <= 0.25


def test_damaged_pairs_are_left_out_by_name_and_the_others_load(tmp_path: Path) -> None:
    root = training_pairs.folders(tmp_path, 5)
    whole = (root / "visible" / "p1.png").read_bytes()
    (root / "visible" / "p1.png").write_bytes(whole[: len(whole) // 2])
    (root / "infrared" / "p2.png").write_bytes(b"")
    training_pairs.write(root / "infrared" / "p3.png", np.zeros((20, 30), np.uint8))
    loaded = load_pairs(pairs(root), "ram", CPU)
    names = {entry.name.rpartition("/")[2]: entry for entry in loaded.left_out}
    assert {"p2", "p3"} <= names.keys() <= {"p1", "p2", "p3"}  # some decoders mend half a picture
    assert names["p3"].reason == "size-mismatch"
    assert "30x20" in names["p3"].message
    assert "56x48" in names["p3"].message
    assert {"p0", "p4"} <= {pair.infrared.stem for pair in loaded.pairs}


def test_a_mask_of_another_size_is_named(tmp_path: Path) -> None:
    root = training_pairs.folders(tmp_path, 2, ("ir", "vi", "labels"))
    training_pairs.write(root / "labels" / "p0.png", np.zeros((10, 10), np.uint8))
    loaded = load_pairs(pairs(root), "ram", CPU)
    assert [(entry.name[-2:], entry.reason) for entry in loaded.left_out] == [("p0", "size-mismatch")]


def test_every_store_hands_out_the_same_bytes(tmp_path: Path) -> None:
    root = training_pairs.folders(tmp_path, 4)
    training_pairs.write(root / "infrared" / "q.png", np.full((33, 70), 9, np.uint8))
    training_pairs.write(root / "visible" / "q.png", np.full((33, 70), 200, np.uint8))
    ram, files = (load_pairs(pairs(root), mode, CPU) for mode in ("ram", "none"))
    assert (ram.store.mode, files.store.mode) == ("ram", "none")
    assert ram.digests == files.digests
    for index in range(5):
        a, b = (loaded.store.fetch([index]) for loaded in (ram, files))
        size = 3 * int(a.sizes_hw.prod())
        assert torch.equal(a.sizes_hw, b.sizes_hw)
        start = int(a.starts[0])
        assert torch.equal(a.flat[start : start + size], b.flat)


def test_the_digest_of_a_pair_changes_with_any_pixel(tmp_path: Path) -> None:
    root = training_pairs.folders(tmp_path, 2)
    before = load_pairs(pairs(root), "ram", CPU).digests
    infrared = training_pairs.scene(1)[0]
    infrared[0, 0] += 1
    training_pairs.write(root / "infrared" / "p1.png", infrared)
    after = load_pairs(pairs(root), "ram", CPU).digests
    assert before[0] == after[0]
    assert before[1] != after[1]


def test_a_cache_on_the_gpu_needs_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--cache ram"):
        load_pairs(pairs(training_pairs.folders(tmp_path, 1)), "gpu", CPU)
