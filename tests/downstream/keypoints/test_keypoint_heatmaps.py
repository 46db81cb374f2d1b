"""Targets, losses and sub-pixel decoding of keypoint heatmaps, and the crops under them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from hypothesis import given
from hypothesis import strategies as st

from fgfusion_model.downstream.keypoints.crops import (
    PLAIN,
    Variation,
    cut_patch,
    draw_variation,
    input_from_picture,
    moved,
    warp_patch,
)
from fgfusion_model.downstream.keypoints.decoding import (
    confidences,
    crop_places,
    find_peaks,
    likelihoods,
    unmirrored,
)
from fgfusion_model.downstream.keypoints.heatmaps import cells_of, cross_entropy, squared_error
from fgfusion_model.downstream.keypoints.labels import find_flip_pairs, mirrored_order
from fgfusion_model.downstream.keypoints.settings import AugmentSettings, Settings, preset
from vircraft.annotation.keypoints import FLIP_PAIRS, KEYPOINTS
from vircraft.errors import SettingsError


def gaussian(x: float, y: float, size_wh: tuple[int, int], sigma: float) -> np.ndarray:
    """Return a heatmap, (1, 1, H, W), with its peak between the cells."""
    u, v = np.meshgrid(np.arange(size_wh[0]), np.arange(size_wh[1]))
    return np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * sigma**2))[None, None]


@given(st.floats(3, 20), st.floats(3, 12), st.floats(0.7, 4))
def test_a_peak_between_cells_is_found_within_a_twentieth_of_a_cell(x: float, y: float, sigma: float):
    assert np.abs(find_peaks(gaussian(x, y, (24, 16), sigma))[0, 0] - (x, y)).max() < 0.05


def test_a_noisy_peak_moves_by_a_fraction_of_a_cell():
    heatmap = gaussian(10.3, 7.6, (24, 16), 1.5)
    noisy = heatmap + np.random.default_rng(0).uniform(0, 0.02, heatmap.shape)
    assert np.abs(find_peaks(noisy)[0, 0] - (10.3, 7.6)).max() < 0.2


def test_a_peak_at_the_border_or_a_flat_heatmap_is_the_highest_cell_itself():
    at_border = np.zeros((1, 2, 6, 8))
    at_border[0, 0, 0, 7] = 1
    assert find_peaks(at_border).tolist() == [[[7, 0], [0, 0]]]


def test_cells_and_crop_pixels_are_each_other_s_inverse():
    points = torch.tensor([[[0.0, 0.0], [1.5, 5.5], [127.0, 63.25]]])
    cells = cells_of(points)
    assert cells[0, 1].tolist() == [0, 1]  # the middle of four pixels is the middle of their cell
    assert np.allclose(crop_places(cells.numpy().astype(float)), points, atol=1e-6)


def test_the_cross_entropy_is_what_is_computed_by_hand():
    logits = torch.tensor([[[[1.0, 2.0], [0.5, -1.0]], [[0.0, 0.0], [3.0, 0.0]]]], dtype=torch.float64)
    points = torch.tensor([[[5.5, 1.5], [1.5, 5.5]]], dtype=torch.float64)  # cells (1, 0) and (0, 1)
    one = -(2 - np.log(np.exp([1.0, 2.0, 0.5, -1.0]).sum()))
    two = -(3 - np.log(np.exp([0.0, 0.0, 3.0, 0.0]).sum()))
    found = cross_entropy(logits, points, torch.tensor([[1.0, 0.5]], dtype=torch.float64), 0)
    assert float(found) == pytest.approx((one + 0.5 * two) / 1.5)


def test_the_cross_entropy_to_a_gaussian_has_a_target_of_sum_one():
    logits = torch.from_numpy(np.random.default_rng(1).normal(size=(1, 1, 6, 7)))
    points = torch.tensor([[[14.2, 9.1]]], dtype=torch.float64)
    x, y = ((np.array([14.2, 9.1]) + 0.5) / 4 - 0.5).tolist()
    target = gaussian(x, y, (7, 6), 1.3)[0, 0]
    target /= target.sum()
    logs = logits[0, 0].numpy() - np.log(np.exp(logits[0, 0].numpy()).sum())
    found = cross_entropy(logits, points, torch.ones(1, 1, dtype=torch.float64), 1.3)
    assert float(found) == pytest.approx(-(target * logs).sum())


def test_the_mse_is_what_is_computed_by_hand():
    heatmaps = torch.from_numpy(np.random.default_rng(2).uniform(size=(1, 2, 6, 7)))
    points = torch.tensor([[[14.2, 9.1], [3.0, 4.0]]], dtype=torch.float64)
    x, y = ((np.array([14.2, 9.1]) + 0.5) / 4 - 0.5).tolist()
    error = ((heatmaps[0, 0].numpy() - gaussian(x, y, (7, 6), 2.0)[0, 0]) ** 2).mean()
    found = squared_error(heatmaps, points, torch.tensor([[0.5, 0.0]], dtype=torch.float64), 2.0)
    assert float(found) == pytest.approx(0.5 * error / 2)


@pytest.mark.parametrize("loss", [cross_entropy, squared_error])
def test_an_invisible_keypoint_and_one_off_the_crop_leave_no_gradient(loss):
    outputs = torch.randn(1, 3, 8, 8, requires_grad=True)
    points = torch.tensor([[[10.0, 10.0], [12.0, 9.0], [40.0, 8.0]]])  # the last is right of the 32 pixels
    loss(outputs, points, torch.tensor([[1.0, 0.0, 1.0]]), 1.0).backward()
    assert outputs.grad is not None
    assert outputs.grad[0, 0].abs().sum() > 0
    assert outputs.grad[0, 1:].abs().sum() == 0


def test_a_batch_without_any_label_has_the_loss_0():
    outputs = torch.randn(1, 2, 8, 8, requires_grad=True)
    found = cross_entropy(outputs, torch.zeros(1, 2, 2), torch.zeros(1, 2), 1.0)
    found.backward()
    assert float(found.detach()) == 0
    assert outputs.grad is not None
    assert not outputs.grad.any()


def test_an_occluded_keypoint_counts_half():
    logits = torch.randn(1, 2, 8, 8, dtype=torch.float64)
    points = torch.tensor([[[9.0, 9.0], [20.0, 5.0]]], dtype=torch.float64)
    alone = [
        float(cross_entropy(logits, points, torch.tensor([w], dtype=torch.float64), 1))
        for w in ([1.0, 0.0], [0.0, 1.0])
    ]
    both = float(cross_entropy(logits, points, torch.tensor([[1.0, 0.5]], dtype=torch.float64), 1))
    assert both == pytest.approx((alone[0] + 0.5 * alone[1]) / 1.5)


def test_confidence_is_the_share_of_the_distribution_about_the_peak():
    sharp, flat = gaussian(10, 8, (24, 16), 1.0), np.ones((1, 1, 16, 24))
    heatmaps = np.concatenate([h / h.sum() for h in (sharp, flat)], 1)
    sure, unsure = confidences(heatmaps, "cross_entropy", 1.0)[0]
    assert sure > 0.95
    assert unsure < 0.1
    assert confidences(sharp * 0.7, "mse", 1.0)[0, 0] == pytest.approx(0.7)


def test_likelihoods_of_logits_sum_to_one_and_of_the_mse_are_not_negative():
    outputs = torch.randn(2, 3, 5, 4)
    assert torch.allclose(likelihoods(outputs, "cross_entropy").sum((-2, -1)), torch.ones(2, 3))
    assert float(likelihoods(outputs, "mse").min()) == 0


def test_a_mirrored_crop_gives_the_left_keypoint_where_the_right_one_was():
    order = mirrored_order(9, FLIP_PAIRS)
    heatmaps = torch.zeros(1, 9, 4, 6)
    heatmaps[0, KEYPOINTS.index("Left_front"), 1, 0] = 1
    heatmaps[0, KEYPOINTS.index("Head"), 2, 5] = 1
    back = unmirrored(heatmaps, order)
    assert back[0, KEYPOINTS.index("Right_front"), 1, 5] == 1
    assert back[0, KEYPOINTS.index("Head"), 2, 0] == 1
    assert float(back.sum()) == 2


def test_flip_pairs_come_from_our_list_or_from_left_and_right_in_the_names():
    assert find_flip_pairs(KEYPOINTS) == FLIP_PAIRS
    assert find_flip_pairs(["nose", "left_wing", "tail", "right_wing"]) == ((1, 3),)
    assert find_flip_pairs(["nose", "tail"]) == ()


@given(
    st.tuples(st.floats(-50, 500), st.floats(-50, 500), st.floats(1, 900), st.floats(1, 900)),
    st.booleans(), st.floats(-180, 180), st.floats(0.5, 2), st.floats(-0.3, 0.3),
)  # fmt: skip
def test_from_picture_to_crop_and_back_is_exact(box, mirrored, turn, zoom, shift):
    variation = Variation(mirrored, turn, zoom, (shift, -shift))
    matrix = input_from_picture(box, (192, 96), 1.25, variation)
    points = np.array([[0.0, 0.0], [123.4, 45.6], [639.0, 511.0]])
    assert np.abs(moved(moved(points, matrix), np.linalg.inv(matrix)) - points).max() < 1e-6


def test_the_box_lies_in_the_crop_s_middle_with_its_padding():
    matrix = input_from_picture((19.5, 29.5, 80, 20), (200, 100), 1.25)  # edges, so 20..99 and 30..49
    corners = moved(np.array([[19.5, 29.5], [99.5, 49.5]]), matrix)
    assert np.allclose(corners, [[19.5, 29.5], [179.5, 69.5]])  # 160 = 200 / 1.25 wide, in the middle


def test_a_mirrored_variation_is_the_mirrored_crop():
    box = (10.0, 12.0, 60.0, 30.0)
    plain = moved(np.array([[30.0, 20.0]]), input_from_picture(box, (96, 64), 1.25))[0]
    flipped = moved(np.array([[30.0, 20.0]]), input_from_picture(box, (96, 64), 1.25, Variation(True)))[0]
    assert flipped == pytest.approx([95 - plain[0], plain[1]])


@pytest.mark.parametrize("scale", [1, 4])  # at 4 the patch is kept smaller than the picture
def test_a_spot_of_the_picture_is_where_the_transform_says_in_every_variation(scale: int):
    settings = Settings(input_wh=(128, 64), augment=AugmentSettings())
    box = (40.0 * scale, 30.0 * scale, 90.0 * scale, 40.0 * scale)
    spot = np.array([70.0 * scale, 45.0 * scale])
    picture = np.zeros((120 * scale, 180 * scale, 3), np.uint8)
    u, v = np.meshgrid(np.arange(180 * scale), np.arange(120 * scale))
    blob = np.exp(-((u - spot[0]) ** 2 + (v - spot[1]) ** 2) / (2 * (3.0 * scale) ** 2))
    picture[:] = np.rint(255 * blob)[..., None]
    patch = cut_patch(picture, box, settings)
    assert patch.pixels.size <= picture.size / (scale if scale == 1 else 4)
    for seed in range(8):
        variation = draw_variation(settings.augment, np.random.default_rng(seed)) if seed else PLAIN
        matrix = input_from_picture(box, settings.input_wh, settings.padding, variation)
        crop = warp_patch(patch, matrix, settings.input_wh)[..., 0].astype(float)
        crop[crop < 130] = 0  # what is outside the picture, too
        moments = cv2.moments(crop)
        seen = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
        assert seen == pytest.approx(moved(spot, matrix), abs=0.15)


def test_what_lies_outside_the_picture_is_the_mean_that_the_network_sees_as_nothing():
    patch = cut_patch(np.full((40, 40, 3), 255, np.uint8), (-10.5, 5.0, 30.0, 20.0), preset("small"))
    crop = warp_patch(patch, patch.plain, preset("small").input_wh)
    assert crop[0, 0].tolist() == [124, 116, 104]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_wh": (100, 96)}, "multiples of 32"),
        ({"sigma": 0.0, "loss": "mse"}, "needs a Gaussian"),
        ({"padding": 0.5}, "padding is 0.5"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(SettingsError, match=message):
        Settings(**changes)


def test_the_paper_s_recipe_is_the_default():
    settings = preset("paper")
    assert settings == Settings()
    assert (settings.network, settings.loss) == ("hrnet_w32", "cross_entropy")
    fit = settings.fit
    assert (fit.optimiser, fit.learning_rate, fit.weight_decay, fit.batch, fit.epochs) == (
        "adam", 1e-3, 5e-4, 6, 200,
    )  # fmt: skip
    with pytest.raises(SettingsError, match="it is one of paper, small"):
        preset("smal")
