"""Which pairs come up, where they are cut, and that both depend on nothing but the seed and the step."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import training_pairs
from fgfusion_model.data import Source, find_pairs, load_pairs
from fgfusion_model.data.crops import Crops, cut, draw_crops
from fgfusion_model.data.feed import Feed, Share
from fgfusion_model.data.order import SampleOrder
from fgfusion_model.data.store import Pictures
from fgfusion_model.training.augment import AugmentSettings

CPU = torch.device("cpu")
PLAIN = AugmentSettings(quarter_turns=False, flips=False)


def coordinates(height: int, width: int) -> Pictures:
    """Return a picture whose infrared is the row and whose visible is the column of each pixel."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    planes = np.stack([rows, columns, (rows + columns) % 2])
    return Pictures(torch.from_numpy(planes.ravel()), torch.tensor([0]), torch.tensor([[height, width]]))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(40, 200),
    st.integers(40, 200),
    st.integers(0, 10**6),
    st.sampled_from([PLAIN, AugmentSettings()]),
)
def test_a_crop_is_a_window_of_the_picture_turned_or_mirrored(
    height: int, width: int, seed: int, augment: AugmentSettings
) -> None:
    size = 32
    pictures = coordinates(height, width)
    generator = torch.Generator().manual_seed(seed)
    crops = draw_crops(pictures.sizes_hw, size, augment, generator)
    rows, columns, mask = cut(pictures, crops, size)[0].numpy().astype(int)
    window = np.mgrid[rows.min() : rows.min() + size, columns.min() : columns.min() + size]
    turned = [np.rot90(window, k, (1, 2)) for k in range(4)]
    candidates = [*turned, *(t[:, :, ::-1] for t in turned)] if augment is not PLAIN else [window]
    assert any(np.array_equal(np.stack([rows, columns]), c) for c in candidates)
    assert np.array_equal(mask, (rows + columns) % 2)


def test_all_eight_turns_and_every_place_come_up() -> None:
    pictures = coordinates(34, 33)
    generator = torch.Generator().manual_seed(0)
    many = Pictures(pictures.flat, torch.zeros(600, dtype=torch.int64), pictures.sizes_hw.expand(600, 2))
    crops = draw_crops(many.sizes_hw, 32, AugmentSettings(), generator)
    planes = cut(many, crops, 32).numpy().astype(int)
    corners = Counter((int(p[0].min()), int(p[1].min())) for p in planes)
    assert set(corners) == {(r, c) for r in range(3) for c in range(2)}
    kinds = Counter(
        (p[0, 1, 0] - p[0, 0, 0], p[0, 0, 1] - p[0, 0, 0], p[1, 1, 0] - p[1, 0, 0], p[1, 0, 1] - p[1, 0, 0])
        for p in planes
    )
    assert len(kinds) == 8
    assert min(kinds.values()) > 40  # 75 each on average


def test_a_crop_larger_than_the_picture_is_mirrored_at_its_borders() -> None:
    pictures = coordinates(20, 24)
    crops = draw_crops(pictures.sizes_hw, 32, PLAIN, torch.Generator().manual_seed(0))
    rows, columns, _ = cut(pictures, crops, 32)[0].numpy().astype(int)
    wanted = np.pad(np.mgrid[:20, :24], ((0, 0), (6, 6), (4, 4)), mode="reflect")
    assert np.array_equal(rows, wanted[0])
    assert np.array_equal(columns, wanted[1])


@pytest.mark.parametrize(("angle_deg", "scale"), [(11.0, 1.0), (0.0, 1.7), (-3.0, 2.0)])
def test_a_turned_or_shrunk_crop_interpolates_to_within_rounding(angle_deg: float, scale: float) -> None:
    """A picture that is linear in its coordinates stays linear under any rotation and scale."""
    pictures = coordinates(120, 120)
    angle = np.deg2rad(angle_deg)
    a, b = scale * np.cos(angle), scale * np.sin(angle)
    matrix = torch.tensor([[[a, -b], [b, a]]]).float()
    crops = Crops(torch.tensor([[60.3, 59.1]]), matrix, torch.tensor([True]))
    rows, columns, mask = cut(pictures, crops, 32)[0].numpy().astype(float)
    i, j = np.meshgrid(np.arange(32) - 15.5, np.arange(32) - 15.5, indexing="ij")
    assert np.abs(rows - (60.3 + a * i - b * j)).max() <= 0.51
    assert np.abs(columns - (59.1 + b * i + a * j)).max() <= 0.51
    assert set(np.unique(mask)) <= {0, 1}


def test_shrinking_by_two_is_the_mean_of_two_by_two_pixels_but_for_the_blur_between_them() -> None:
    rng = np.random.default_rng(0)
    planes = np.stack([*rng.integers(0, 255, (2, 64, 64)), np.zeros((64, 64))]).astype(np.uint8)
    pictures = Pictures(torch.from_numpy(planes.ravel()), torch.tensor([0]), torch.tensor([[64, 64]]))
    crops = Crops(torch.tensor([[31.5, 31.5]]), 2 * torch.eye(2)[None], torch.tensor([True]))
    got = cut(pictures, crops, 32)[0, 0].numpy().astype(float)
    wanted = planes[0].reshape(32, 2, 32, 2).astype(float).mean((1, 3))
    assert np.abs(got - wanted).max() <= 0.51


def test_shrunk_crops_stay_inside_and_the_others_stay_exact() -> None:
    pictures = coordinates(90, 70)
    many = Pictures(pictures.flat, torch.zeros(400, dtype=torch.int64), pictures.sizes_hw.expand(400, 2))
    augment = AugmentSettings(shrink=0.4)
    crops = draw_crops(many.sizes_hw, 32, augment, torch.Generator().manual_seed(3))
    assert abs(float(crops.smooth.float().mean()) - 0.4) < 0.08
    reach = crops.matrices.abs().sum(2) * 15.5
    assert (crops.centres_yx - reach >= -0.5).all()
    assert (crops.centres_yx + reach <= torch.tensor([89.5, 69.5])).all()
    spans = crops.matrices.abs().sum((1, 2)) / 2
    assert spans.max() > 1.9
    planes = cut(many, crops, 32).numpy().astype(int)
    for p, smooth in zip(planes, crops.smooth, strict=True):
        if not smooth:
            assert np.array_equal(p[2], (p[0] + p[1]) % 2)
            assert np.ptp(p[0]) == np.ptp(p[1]) == 31


def test_an_epoch_shows_every_pair_as_often_as_the_weight_of_its_source_says() -> None:
    order = SampleOrder([0] * 5 + [1] * 4 + [2] * 8, [1.0, 3.0, 0.5], seed=1)
    assert order.epoch_length == 5 + 12 + 4
    for epoch in range(3):
        counts = Counter(order.take(epoch * order.epoch_length, order.epoch_length))
        assert all(counts[k] == 1 for k in range(5))
        assert all(counts[k] == 3 for k in range(5, 9))
    two = Counter(order.take(0, 2 * order.epoch_length))
    assert all(two[k] == 1 for k in range(9, 17))  # every second epoch


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(0, 300), st.integers(0, 90), st.integers(0, 5))
def test_any_stretch_of_the_order_can_be_asked_for_at_once(
    pairs: int, start: int, count: int, seed: int
) -> None:
    order = SampleOrder([0] * pairs, [1.0], seed)
    assert order.take(start, count) == SampleOrder([0] * pairs, [1.0], seed).take(0, start + count)[start:]


def make_feed(root: Path, cache: str = "ram", share: Share = Share(), batch: int = 4) -> Feed:  # noqa: B008
    loaded = load_pairs(find_pairs([Source(root)])[0].pairs, cache, CPU)  # type: ignore[arg-type]
    augment = AugmentSettings(low_light=0.5, visible_gamma=0.5, noise=1, shrink=0.5)
    order = SampleOrder([0] * len(loaded.pairs), [1.0], seed=7)
    return Feed(loaded.store, order, batch=batch, crop=32, augment=augment, device=CPU, share=share)


def test_a_batch_depends_on_its_step_only_and_not_on_what_came_before(tmp_path: Path) -> None:
    root = training_pairs.folders(tmp_path, 3)
    straight, jumped = make_feed(root), make_feed(root)
    batches = [straight.make(step) for step in range(4)]
    for a, b in zip(batches[3], jumped.make(3), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(batches[0].infrared, batches[1].infrared)


def test_reading_files_each_time_gives_the_same_batches(tmp_path: Path) -> None:
    root = training_pairs.folders(tmp_path, 3)
    ram, files = make_feed(root), make_feed(root, "none")
    for step in (0, 1, 5):
        for a, b in zip(ram.make(step), files.make(step), strict=True):
            assert torch.equal(a, b)
    files.close()


def test_processes_and_parts_divide_the_same_crops(tmp_path: Path) -> None:
    root = training_pairs.folders(tmp_path, 5)
    whole = make_feed(root, batch=8).make(2)
    divided = [
        make_feed(root, share=Share(rank, 2, 2), batch=8).make(2, part) for part in (0, 1) for rank in (0, 1)
    ]
    for name in ("infrared", "visible", "mask"):
        pieces = torch.cat([getattr(batch, name) for batch in divided])
        assert torch.equal(getattr(whole, name), pieces), name


def test_the_loss_sees_no_noise_and_the_network_does(tmp_path: Path) -> None:
    batch = make_feed(training_pairs.folders(tmp_path, 3)).make(0)
    assert not torch.equal(batch.infrared, batch.seen_infrared)
    for picture in batch:
        assert picture.shape == (4, 1, 32, 32)
        assert 0 <= float(picture.min()) <= float(picture.max()) <= 1


def test_a_picture_that_vanishes_during_a_training_is_named(tmp_path: Path) -> None:
    root = training_pairs.folders(tmp_path, 2)
    feed = make_feed(root, "none")
    for path in (root / "visible").iterdir():
        path.write_bytes(b"")
    with pytest.raises(Exception, match=r"p\d.png"):
        feed.make(0)
    feed.close()
