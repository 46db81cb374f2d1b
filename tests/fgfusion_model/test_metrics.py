"""Every metric against the plain NumPy computation in metric_reference.py, and at its edges."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fgfusion_model.metrics import METRICS, score
from metric_reference import all_metrics, contrast
from vircraft.errors import PictureError, SettingsError

TOLERANCE = 1e-9


def scene(seed: int, wh: tuple[int, int], sharp: float) -> np.ndarray:
    """Return an 8-bit picture (H, W) with structure at all scales, flat parts and saturated ones."""
    rng = np.random.default_rng(seed)
    w, h = wh
    total = sum(
        cv2.resize(rng.normal(size=(max(h // s, 2), max(w // s, 2))), wh, interpolation=cv2.INTER_CUBIC) * s
        for s in (32, 16, 8, 4, 1)
    )
    picture = np.clip(np.rint(128 + sharp * total), 0, 255)
    picture[h // 2 : h // 2 + h // 6, : w // 4] = 77  # no variance at all
    return picture.astype(np.float64)


def trio(wh: tuple[int, int], seed: int = 1) -> tuple[np.ndarray, ...]:
    a, b = scene(seed, wh, 2.0), scene(seed + 1, wh, 3.0)
    return np.rint(0.6 * a + 0.4 * b), a, b


def tensor(*pictures: np.ndarray):
    return torch.tensor(np.stack(pictures))[:, None]


def scored(f: np.ndarray, a: np.ndarray, b: np.ndarray, **more) -> dict[str, float]:
    return {name: value.item() for name, value in score(tensor(f), tensor(a), tensor(b), **more).items()}


@pytest.mark.parametrize("wh", [(192, 177), (203, 256)])
def test_every_metric_equals_the_plain_computation(wh: tuple[int, int]):
    f, a, b = trio(wh)
    expected = all_metrics(f, a, b)
    assert scored(f, a, b) == pytest.approx(expected, abs=TOLERANCE)
    assert {m.name for m in METRICS} - set(expected) == {"contrast"}


def test_gradients_that_vanish_or_agree_are_counted_as_defined():
    f, a, b = trio((180, 180))
    f[40:120, 40:120] = a[40:120, 40:120]  # equal gradients
    b[90:150, 90:150] = 0  # none
    b[20:60] = np.arange(180)  # vertical and horizontal ones only
    f[20:60] = np.arange(180)[::-1]
    a[60:80] = 200
    assert scored(f, a, b) == pytest.approx(all_metrics(f, a, b), abs=TOLERANCE)


def test_pictures_that_run_against_each_other_count_as_defined():
    _, a, b = trio((180, 180))
    assert scored(255 - a, a, b) == pytest.approx(all_metrics(255 - a, a, b), abs=TOLERANCE)
    assert scored(255 - a, a, a)["MS-SSIM"] == 0


def test_contrast_is_the_step_to_a_ring_of_fifteen_pixels():
    f, a, b = trio((70, 60))
    mask = np.zeros_like(f)
    mask[25:31, 2:9] = 1
    mask[50:52, 60:63] = 1
    found = scored(f, a, b, mask=tensor(mask))["contrast"]
    assert found == pytest.approx(contrast(f, mask), abs=TOLERANCE)
    step = np.where(mask > 0, 200.0, 149.0)
    assert scored(step, a, b, mask=tensor(mask))["contrast"] == pytest.approx(0.2)


def test_contrast_is_unknown_without_foreground_or_without_surroundings():
    f, a, b = trio((40, 40))
    for mask in (np.zeros_like(f), np.ones_like(f)):
        assert np.isnan(scored(f, a, b, mask=tensor(mask))["contrast"])
    assert "contrast" not in scored(f, a, b)


def test_a_batch_gives_what_its_pictures_give():
    pictures = [trio((64, 48), seed) for seed in (1, 5, 9)]
    f, a, b = (tensor(*column) for column in zip(*pictures, strict=True))
    mask = (a > 120).float()
    together = score(f, a, b, mask)
    for i in range(3):
        alone = score(f[i : i + 1], a[i : i + 1], b[i : i + 1], mask[i : i + 1])
        for name, values in together.items():
            assert values[i].item() == pytest.approx(alone[name].item(), abs=1e-12, nan_ok=True), name


def test_sources_given_once_serve_every_fused_picture():
    f, a, b = trio((64, 48))
    fused, mask = tensor(f, a, np.maximum(a, b)), tensor((a > 120).astype(float))
    once = score(fused, tensor(a), tensor(b), mask)
    thrice = score(fused, tensor(a, a, a), tensor(b, b, b), mask.repeat(3, 1, 1, 1))
    for name, values in once.items():
        np.testing.assert_allclose(values, thrice[name], atol=1e-12, err_msg=name)


def test_whole_numbers_of_any_type_score_alike():
    f, a, b = trio((64, 48))
    expected = scored(f, a, b)
    for dtype in (torch.uint8, torch.float32, torch.int64):
        found = score(*(tensor(p).to(dtype) for p in (f, a, b)))
        assert {k: v.item() for k, v in found.items()} == pytest.approx(expected, abs=0, nan_ok=True)


def test_vif_is_that_of_torchmetrics():
    from torchmetrics.functional.image import visual_information_fidelity as vif

    f, a, b = trio((96, 80))
    expected = sum(float(vif(tensor(f), tensor(source))) for source in (a, b))
    assert scored(f, a, b)["VIF"] == pytest.approx(expected, abs=1e-6)


def test_tang_counts_in_bits_and_sums():
    f, a, b = trio((192, 180))
    usual, tang = scored(f, a, b), scored(f, a, b, convention="tang")
    changed = {"MI": usual["MI"] / np.log(2), "SSIM": 2 * usual["SSIM"], "MS-SSIM": 2 * usual["MS-SSIM"]}
    unit = (np.mean((a - f) ** 2) + np.mean((b - f) ** 2)) / 2 / 255**2  # errors of pictures on 0..1
    changed["PSNR"] = 20 * np.log10(255 / np.sqrt(unit))
    assert tang == pytest.approx({**usual, **changed}, abs=TOLERANCE)


def test_identical_pictures_score_as_perfect():
    _, a, _ = trio((180, 180))
    found = scored(a, a, a)
    assert found["VIF"] == pytest.approx(2, abs=1e-6)
    assert (found["SSIM"], found["MS-SSIM"], found["CC"]) == pytest.approx((1, 1, 1))
    assert (found["SCD"], found["Nabf"], found["PSNR"]) == (0, 0, np.inf)
    assert found["MI"] == pytest.approx(2 * found["EN"] * np.log(2))


def test_constant_pictures_give_numbers():
    grey, dark = np.full((180, 180), 128.0), np.full((180, 180), 3.0)
    _, a, b = trio((180, 180))
    for f, x, y in ((grey, dark, grey), (grey, a, b), (a, dark, grey), (a, dark, b)):
        found = scored(f, x, y)
        assert all(np.isfinite(value) for value in found.values()), found
    both = scored(grey, dark, dark)
    assert (both["EN"], both["SD"], both["AG"], both["MI"], both["SCD"], both["CC"]) == (0,) * 6
    assert (both["VIF"], both["Nabf"]) == (2, 0)
    black = scored(grey, 0 * dark, 0 * dark)  # of the others Qabf sees an edge against the zeros around them
    assert black["Qabf"] == 0


@pytest.mark.parametrize(
    ("size", "unknown"),
    [
        (2, {"VIF", "SSIM", "MS-SSIM"}),
        (11, {"VIF", "MS-SSIM"}),
        (40, {"VIF", "MS-SSIM"}),
        (41, {"MS-SSIM"}),
        (175, {"MS-SSIM"}),
        (176, set()),
    ],
)
def test_pictures_smaller_than_a_window_leave_that_metric_unknown(size: int, unknown: set[str]):
    f, a, b = (p[:size, :size] for p in trio((190, 190)))
    found = scored(f, a, b)
    assert {name for name, value in found.items() if np.isnan(value)} == unknown


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda f: f / 255, "multiply pictures on 0..1 by 255"),
        (lambda f: f + 200, "0..255"),
        (lambda f: f - 200, "0..255"),
        (lambda f: np.where(f > 100, np.nan, f), "0..255"),
        (lambda f: f[:-1], "sizes must agree"),
        (lambda f: f[:1], "at least 2 x 2"),
    ],
)
def test_what_is_no_8_bit_picture_is_refused(change, complaint: str):
    f, a, b = trio((40, 40))
    with pytest.raises(PictureError, match=complaint):
        scored(change(f), a, b)


def test_shapes_and_conventions_are_checked():
    f, a, b = (tensor(p) for p in trio((40, 40)))
    with pytest.raises(PictureError, match=r"\(N, 1, H, W\)"):
        score(f[0], a, b)
    with pytest.raises(PictureError, match="2 infrared pictures for 1"):
        score(f, torch.cat([a, a]), b)
    with pytest.raises(SettingsError, match="cddfuse, tang"):
        score(f, a, b, convention="mine")  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("rule", [np.maximum, lambda a, b: np.rint((a + b) / 2)])
def test_a_real_pair_scores_as_by_the_plain_computation(rule):
    infrared = sorted((Path(__file__).parents[3] / "shared/data/msrs/infrared").glob("*"))
    if not infrared:
        pytest.skip("../shared/data/msrs is not there")
    visible = infrared[0].parents[1] / "visible" / infrared[0].name
    a, b = (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.float64) for path in (infrared[0], visible))
    f = rule(a, b)
    assert scored(f, a, b) == pytest.approx(all_metrics(f, a, b), abs=1e-7)
