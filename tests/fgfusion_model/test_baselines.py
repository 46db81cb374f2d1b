"""The baselines against OpenCV's pyramid and the plain rules."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fgfusion_model.baselines import BASELINES, average, fuse_8_bit, laplacian_pyramid, maximum


def pair(wh: tuple[int, int], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    small = rng.uniform(0, 255, (2, wh[1] // 4, wh[0] // 4))
    large = [np.rint(cv2.resize(p, wh) + rng.normal(0, 9, wh[::-1])).clip(0, 255) for p in small]
    first, second = (torch.tensor(p)[None, None] for p in large)
    return first, second


def opencv_pyramid(a: np.ndarray, b: np.ndarray, levels: int) -> np.ndarray:
    """Return the fusion by `cv2.pyrDown` and `cv2.pyrUp`."""
    details = []
    for _ in range(levels):
        parts = []
        for picture in (a, b):
            small = cv2.pyrDown(picture)
            parts.append((small, picture - cv2.pyrUp(small, dstsize=picture.shape[::-1])))
        (a, detail_a), (b, detail_b) = parts
        details.append(np.where(abs(detail_a) >= abs(detail_b), detail_a, detail_b))
    fused = (a + b) / 2
    for detail in reversed(details):
        fused = cv2.pyrUp(fused, dstsize=detail.shape[::-1]) + detail
    return fused


@pytest.mark.parametrize("wh", [(96, 80), (97, 83)])
def test_laplacian_is_opencvs_pyramid_away_from_the_border(wh: tuple[int, int]):
    a, b = pair(wh)
    expected = opencv_pyramid(a[0, 0].numpy(), b[0, 0].numpy(), 2)
    found = laplacian_pyramid(a, b, levels=2)[0, 0].numpy()
    np.testing.assert_allclose(found[16:-16, 16:-16], expected[16:-16, 16:-16], atol=1e-9)


def test_average_and_max_are_pixelwise():
    a, b = pair((40, 32))
    assert torch.equal(average(a, b), (a + b) / 2)
    assert torch.equal(maximum(a, b), torch.where(a > b, a, b))


@pytest.mark.parametrize("wh", [(2, 2), (5, 40), (33, 47), (64, 64)])
@pytest.mark.parametrize("name", BASELINES)
def test_a_picture_with_itself_gives_itself_at_any_size(name: str, wh: tuple[int, int]):
    picture = torch.randint(0, 256, (1, 1, wh[1], wh[0]), generator=torch.Generator().manual_seed(1))
    assert torch.equal(fuse_8_bit(name, picture, picture), picture.double())


def test_8_bit_pictures_come_back_as_8_bit_values():
    a, b = (p.to(torch.uint8) for p in pair((64, 48)))
    for name in BASELINES:
        fused = fuse_8_bit(name, a, b)
        assert torch.equal(fused, fused.round())
        assert (float(fused.min()), float(fused.max())) >= (0, 0)
        assert float(fused.max()) <= 255


def test_a_batch_gives_what_its_pictures_give():
    (a, b), (c, d) = pair((48, 40), 1), pair((48, 40), 2)
    together = laplacian_pyramid(torch.cat([a, c]), torch.cat([b, d]))
    assert torch.equal(together, torch.cat([laplacian_pyramid(a, b), laplacian_pyramid(c, d)]))
