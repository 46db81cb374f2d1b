"""The fusion metrics a second time, in plain NumPy: one picture, whole windows, no sharing of work.

Structured differently from fgfusion_model.metrics on purpose, so that both are unlikely to share a slip:
two-dimensional kernels over explicit windows instead of separable sums, `histogram2d` instead of counting,
`corrcoef`, `np.gradient`.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Picture = NDArray[np.float64]

SOBEL_X = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])


def all_metrics(f: Picture, a: Picture, b: Picture, mask: Picture | None = None) -> dict[str, float]:
    """Return every metric of METRICS.md, convention cddfuse, for pictures (H, W) on 0..255."""
    found = {
        "EN": entropy(np.histogram(f, 256, (-0.5, 255.5))[0], 2),
        "SD": float(np.sqrt(np.mean(f**2) - np.mean(f) ** 2)),
        "SF": float(np.hypot(np.linalg.norm(np.diff(f)) / np.sqrt(f[:, 1:].size), _down(f))),
        "AG": float(np.mean(np.hypot(*np.gradient(f)) / np.sqrt(2))),
        "MI": mutual(a, f) + mutual(b, f),
        "SCD": pearson(f - b, a) + pearson(f - a, b),
        "VIF": vifp(a, f) + vifp(b, f),
        "Qabf": qabf(f, a, b),
        "Nabf": nabf(f, a, b),
        "SSIM": (ssim(a, f)[0] + ssim(b, f)[0]) / 2,
        "MS-SSIM": (ms_ssim(a, f) + ms_ssim(b, f)) / 2,
        "CC": (pearson(a, f) + pearson(b, f)) / 2,
        "PSNR": float(-10 * np.log10((np.mean((a - f) ** 2) + np.mean((b - f) ** 2)) / 2 / 255**2)),
    }
    if mask is not None:
        found["contrast"] = contrast(f, mask)
    return found


def _down(f: Picture) -> float:
    return float(np.linalg.norm(np.diff(f, axis=0)) / np.sqrt(f[1:].size))


def entropy(counts: NDArray, base: float = np.e) -> float:
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum() / np.log(base))


def mutual(x: Picture, y: Picture) -> float:
    edges = np.arange(257) - 0.5
    p = np.histogram2d(x.ravel(), y.ravel(), [edges, edges])[0] / x.size
    independent = np.outer(p.sum(1), p.sum(0))
    at = p > 0
    return float((p[at] * np.log(p[at] / independent[at])).sum())


def pearson(x: Picture, y: Picture) -> float:
    if x.std() == 0 or y.std() == 0:
        return 0.0
    return float(np.corrcoef(x.ravel(), y.ravel())[0, 1])


def gaussian(size: int, sigma: float) -> Picture:
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    kernel = np.exp(-(x * x + y * y) / (2 * sigma * sigma))
    return kernel / kernel.sum()


def windowed(x: Picture, kernel: Picture) -> Picture:
    """Return the correlation with a kernel where it lies inside."""
    return np.einsum("ijkl,kl->ij", sliding_window_view(x, kernel.shape), kernel, optimize=True)


def moments(x: Picture, y: Picture, kernel: Picture) -> tuple[Picture, ...]:
    mx, my = windowed(x, kernel), windowed(y, kernel)
    return (
        *(mx, my, windowed(x * x, kernel) - mx**2, windowed(y * y, kernel) - my**2),
        windowed(x * y, kernel) - mx * my,
    )


def vifp(reference: Picture, distorted: Picture) -> float:
    kept = held = 0.0
    for size in (17, 9, 5, 3):
        kernel = gaussian(size, size / 5)
        if size < 17:
            reference, distorted = (windowed(x, kernel)[::2, ::2] for x in (reference, distorted))
        _, _, v_r, v_d, cov = moments(reference, distorted, kernel)
        v_r, v_d = np.maximum(v_r, 0), np.maximum(v_d, 0)
        usable = (v_r >= 1e-10) & (v_d >= 1e-10) & (cov >= 0)
        g = np.where(usable, cov / (v_r + 1e-10), 0)
        noise = np.where(usable, np.maximum(v_d - g * cov, 1e-10), v_d)
        kept += np.log10(1 + g**2 * v_r / (noise + 2)).sum()
        held += np.log10(1 + v_r / 2).sum()
    return float(kept / held)


def ssim(x: Picture, y: Picture) -> tuple[float, float]:
    mx, my, vx, vy, cov = moments(x, y, gaussian(11, 1.5))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    structure = (2 * cov + c2) / (vx + vy + c2)
    return float((structure * (2 * mx * my + c1) / (mx**2 + my**2 + c1)).mean()), float(structure.mean())


def ms_ssim(x: Picture, y: Picture) -> float:
    terms = []
    for _ in range(5):
        terms.append(ssim(x, y))
        x, y = (
            p[: len(p) // 2 * 2, : p.shape[1] // 2 * 2]
            .reshape(len(p) // 2, 2, p.shape[1] // 2, 2)
            .mean((1, 3))
            for p in (x, y)
        )
    # a negative mean has no such root at the last scale, either
    values = [max(structure, 0) for _, structure in terms[:4]] + [max(terms[4][0], 0)]
    return float(np.prod(np.array(values) ** [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]))


def gradients(x: Picture, mode: str) -> tuple[Picture, Picture]:
    padded = np.pad(x, 1, mode=mode)
    return windowed(padded, SOBEL_X), windowed(padded, SOBEL_X.T)


def qabf(f: Picture, a: Picture, b: Picture) -> float:
    def polar(x: Picture) -> tuple[Picture, Picture]:
        gx, gy = gradients(x, "constant")
        with np.errstate(divide="ignore", invalid="ignore"):
            angle = np.where(gx == 0, np.pi / 2, np.arctan(-gy / gx))
        return np.sqrt(gx**2 + gy**2), angle

    (gf, af), *sources = polar(f), polar(a), polar(b)
    total = 0.0
    for g, angle in sources:
        high, low = np.maximum(g, gf), np.minimum(g, gf)
        ratio = np.divide(low, high, out=np.ones_like(low), where=high > 0)
        turn = 1 - np.abs(angle - af) / (np.pi / 2)
        q = 0.9994 / (1 + np.exp(-15 * (ratio - 0.5))) * 0.9879 / (1 + np.exp(-22 * (turn - 0.8)))
        total += (q * g).sum()
    return float(total / sum(g.sum() for g, _ in sources))


def nabf(f: Picture, a: Picture, b: Picture) -> float:
    def polar(x: Picture) -> tuple[Picture, Picture]:
        gx, gy = (g / 8 for g in gradients(x, "edge"))
        with np.errstate(divide="ignore", invalid="ignore"):
            angle = np.where((gx == 0) & (gy == 0), 0, np.arctan(gx / gy))
        return np.sqrt(gx**2 + gy**2), angle

    (gf, af), *sources = polar(f), polar(a), polar(b)
    n = (gf > sources[0][0]) & (gf > sources[1][0])
    lost = weights = 0.0
    for g, angle in sources:
        high, low = np.maximum(g, gf), np.minimum(g, gf)
        ratio = np.divide(low, high, out=np.zeros_like(low), where=low > 0)
        turn = np.abs(np.abs(angle - af) - np.pi / 2) * 2 / np.pi
        q = np.sqrt(0.9999 / (1 + np.exp(-19 * (ratio - 0.5))) * 0.9995 / (1 + np.exp(-22 * (turn - 0.5))))
        w = np.where(g >= 2, g**1.5, 0)
        lost += ((1 - q) * w * n).sum()
        weights += w.sum()
    return float(lost / weights)


def contrast(f: Picture, mask: Picture) -> float:
    """Return the contrast; the ring is found from all distances, so keep the picture small."""
    inside = np.argwhere(mask > 0)
    everywhere = np.argwhere(np.ones_like(mask))
    squared = ((everywhere[:, None] - inside[None]) ** 2).sum(-1).min(1).reshape(mask.shape)
    ring = (squared > 0) & (squared <= 15**2)
    return float((f[mask > 0].mean() - f[ring].mean()) / 255)
