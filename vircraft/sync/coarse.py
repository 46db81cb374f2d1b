"""Search offset and place at once: when, and where in the visible picture, does what the infrared sees move?

The visible camera sees more than the infrared one, and where the infrared view lies in it is not known yet.
So cells of the infrared picture are correlated with all cells of the visible one at every offset, and the
sums over every placement of the infrared grid (scale and position) compete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vircraft.sync.motion import Motion
from vircraft.sync.signals import Array, Signal, even_signal, overlap

SCALES = np.geomspace(0.28, 1.0, 12)  # width of the infrared view as a share of the visible one's
ENERGY_FLOOR = 0.05  # of the mean: a placement where nothing moves must not win by its small energy
MIN_TICKS = 12  # shorter overlaps are not scored


@dataclass(frozen=True)
class Placement:
    """Where the infrared view lies in the visible picture, in shares of its width and height."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, eq=False)
class CoarseSearch:
    """Evidence for each offset.

    Attributes:
        offsets_s: (L,) even.
        cells: (L,) best correlation of cell motion over all placements.
        shift: (L, 2) correlation of the horizontal and the vertical shift of the whole pictures.
        cells_null, shift_null: the same with the visible motion played backwards: what chance gives.
        best: (L,) index into placements.
        placements: what competed.
    """

    offsets_s: NDArray[np.float64]
    cells: NDArray[np.float64]
    shift: NDArray[np.float64]
    cells_null: NDArray[np.float64]
    shift_null: NDArray[np.float64]
    best: NDArray[np.intp]
    placements: tuple[Placement, ...]

    def evidence(self) -> NDArray[np.float64]:
        """Return (L,) log-likelihood-like scores: half the squared deviations from what chance gives."""
        centre, spread = float(np.mean(self.cells_null)), float(np.std(self.cells_null))
        z_cells = np.maximum(self.cells - centre, 0) / max(spread, 0.01)
        spread_shift = np.sqrt(np.mean(self.shift_null**2, axis=0))
        z_shift = np.maximum(self.shift, 0) / np.maximum(spread_shift, 0.03)
        return np.asarray(0.5 * (z_cells**2 + (z_shift**2).sum(1)))


def placements(
    grid_wh: tuple[int, int], infrared_wh: tuple[int, int], visible_wh: tuple[int, int]
) -> tuple[Placement, ...]:
    """List placements of the infrared view, dense enough that the right one is within half a cell."""
    found = []
    aspect = (infrared_wh[1] / infrared_wh[0]) * (visible_wh[0] / visible_wh[1])
    for width in SCALES:
        height = width * aspect
        if height > 1.1:
            continue
        step_x, step_y = 0.6 * width / grid_wh[0], 0.6 * height / grid_wh[1]
        slack_x, slack_y = 1.04 - width, max(1.04 - height, 0.0)
        for left in np.linspace(-0.02, slack_x - 0.02, 1 + int(np.ceil(slack_x / max(step_x, 0.03)))):
            for top in np.linspace(-0.02, slack_y - 0.02, 1 + int(np.ceil(slack_y / max(step_y, 0.03)))):
                found.append(Placement(float(left), float(top), float(width), float(height)))
    return tuple(found)


def cell_centres(grid_wh: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return x and y, each (rows * columns,), of cell centres in shares of the picture."""
    y, x = np.meshgrid(
        (np.arange(grid_wh[1]) + 0.5) / grid_wh[1], (np.arange(grid_wh[0]) + 0.5) / grid_wh[0], indexing="ij"
    )
    return x.ravel(), y.ravel()


def coarse_search(
    segments: Sequence[tuple[Motion, Motion]],
    offsets_s: NDArray[np.float64],
    width_s: float,
    competing: tuple[Placement, ...],
) -> CoarseSearch:
    """Correlate infrared and visible motion over offsets and placements.

    Args:
        segments: stretches of infrared and visible motion; their evidence is added up.
        offsets_s: (L,) even offsets to try; the step is the common clock's.
        width_s: kernel width of the resampling.
        competing: from placements().
    """
    sums = _Sums(len(offsets_s), competing)
    for infrared, visible in segments:
        sums.add(infrared, visible, offsets_s, width_s)
    return sums.result(offsets_s)


class _Sums:
    """Numerators and energies over segments."""

    def __init__(self, count: int, competing: tuple[Placement, ...]) -> None:
        self.competing = competing
        n = len(competing)
        # [forwards, backwards] x [activity, flow]
        self.numerator = np.zeros((2, 2, count, n), np.float64)
        self.energy_infrared = np.zeros((2, 2, count), np.float64)
        self.energy_visible = np.zeros((2, 2, count, n), np.float64)
        self.floor = np.zeros((2, 2, count), np.float64)
        self.shift_numerator = np.zeros((2, count, 2), np.float64)
        self.shift_energy = np.zeros((2, count, 2, 2), np.float64)

    def add(self, infrared: Motion, visible: Motion, offsets_s: NDArray[np.float64], width_s: float) -> None:
        """Add one segment."""
        step_s = float(offsets_s[1] - offsets_s[0])
        if len(infrared.times_s) < MIN_TICKS or len(visible.times_s) < MIN_TICKS:
            return
        start_s = float(infrared.times_s[0])
        clock_ir = (start_s, step_s, 1 + int((infrared.times_s[-1] - start_s) / step_s))
        first = int(np.ceil((visible.times_s[0] - start_s - offsets_s[0]) / step_s))
        start_vis_s = start_s + float(offsets_s[0]) + first * step_s
        clock_vis = (start_vis_s, step_s, 1 + int((visible.times_s[-1] - start_vis_s) / step_s))
        if min(clock_ir[2], clock_vis[2]) < MIN_TICKS:
            return
        lags = np.arange(len(offsets_s)) - first

        def signals(one: Motion, clock: tuple[float, float, int]) -> list[Array]:
            channels = (one.activity, one.flow[:, 0], one.flow[:, 1], one.shift)
            return [even_signal(one.times_s, c, clock, width_s).values for c in channels]

        a, b = signals(infrared, clock_ir), signals(visible, clock_vis)
        index = self._index(infrared.activity.shape[1:], visible.activity.shape[1:])
        for backwards in (0, 1):
            c = [signal[::-1] for signal in b] if backwards else b
            self._add_cells(backwards, 0, a[:1], c[:1], lags, index)
            self._add_cells(backwards, 1, a[1:3], c[1:3], lags, index)
            for q, lag in enumerate(lags):
                at_a, at_b = overlap(len(a[3]), len(c[3]), int(lag))
                x, y = a[3][at_a], c[3][at_b]
                self.shift_numerator[backwards, q] += (x * y).sum(0)
                self.shift_energy[backwards, q, 0] += (x * x).sum(0)
                self.shift_energy[backwards, q, 1] += (y * y).sum(0)

    def _add_cells(
        self,
        backwards: int,
        kind: int,
        a: list[Array],
        b: list[Array],
        lags: NDArray[np.intp],
        index: NDArray[np.intp],
    ) -> None:
        cells = a[0].shape[1]
        own = np.arange(cells)[None]
        cumulated = [
            np.cumsum(np.vstack([np.zeros((1, y.shape[1])), y.astype(np.float64) ** 2]), 0) for y in b
        ]
        for q, lag in enumerate(lags):
            at_a, at_b = overlap(len(a[0]), len(b[0]), int(lag))
            if at_a.stop - at_a.start < MIN_TICKS:
                continue
            product = np.sum([x[at_a].T @ y[at_b] for x, y in zip(a, b, strict=True)], axis=0)
            energy = np.sum([c[at_b.stop] - c[at_b.start] for c in cumulated], axis=0)
            self.numerator[backwards, kind, q] += product[own, index].sum(1)
            self.energy_visible[backwards, kind, q] += energy[index].sum(1)
            self.floor[backwards, kind, q] += ENERGY_FLOOR * float(energy.mean()) * cells
            self.energy_infrared[backwards, kind, q] += sum(float((x[at_a] ** 2).sum()) for x in a)

    def _index(self, rows_columns_ir: tuple[int, ...], rows_columns_vis: tuple[int, ...]) -> NDArray[np.intp]:
        """Return (placements, infrared cells): the visible cell that each infrared cell falls on."""
        x, y = cell_centres((rows_columns_ir[1], rows_columns_ir[0]))
        rows, columns = rows_columns_vis
        p = np.array([(one.left, one.top, one.width, one.height) for one in self.competing])
        column = np.clip(((p[:, :1] + x * p[:, 2:3]) * columns).astype(np.intp), 0, columns - 1)
        row = np.clip(((p[:, 1:2] + y * p[:, 3:]) * rows).astype(np.intp), 0, rows - 1)
        return np.asarray(row * columns + column)

    def result(self, offsets_s: NDArray[np.float64]) -> CoarseSearch:
        energy = self.energy_infrared[..., None] * (self.energy_visible + self.floor[..., None])
        correlation = (self.numerator / np.sqrt(np.maximum(energy, 1e-12))).mean(axis=1)
        shift_energy = np.maximum(self.shift_energy[:, :, 0] * self.shift_energy[:, :, 1], 1e-18)
        shift = self.shift_numerator / np.sqrt(shift_energy)
        return CoarseSearch(
            offsets_s=offsets_s,
            cells=correlation[0].max(1),
            shift=shift[0],
            cells_null=correlation[1].max(1),
            shift_null=shift[1],
            best=correlation[0].argmax(1),
            placements=self.competing,
        )


__all__ = ["CoarseSearch", "Placement", "Signal", "cell_centres", "coarse_search", "placements"]
