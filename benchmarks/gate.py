#!/usr/bin/env python3
"""Fit the gate on pairs with known truth, check it on scenes it was not fitted on, print its constants.

    python benchmarks/gate.py PAIRS_DIR... [--jobs 2] [--cache evidence.pkl]

PAIRS_DIR holds truth.csv (id, tier, scene, visible, infrared, h00..h22, empty for pairs of different scenes)
as the registration benchmark writes it. The printed constants go to vircraft/registration/gate.py.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, fields
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from vircraft.registration.edges import grey_8bit
from vircraft.registration.gate import UNIT_WIDTH, Evidence
from vircraft.registration.pair import find
from vircraft.registration.settings import RegistrationSettings
from vircraft.registration.warp import corner_error_px

FIELDS = [f.name for f in fields(Evidence)]
H = [f"h{r}{c}" for r in range(3) for c in range(3)]
RIGHT_PX = 10.0
FOLDS = 8
RIDGE = {"logit": 1.0, "error": 9.0}


def measure(job: tuple[str, dict[str, object]]) -> dict[str, object] | None:
    """Register one row of truth.csv and return its evidence and error."""
    cv2.setNumThreads(1)
    folder, row = job
    visible = cv2.imread(str(Path(folder) / str(row["visible"])))
    infrared = cv2.imread(str(Path(folder) / str(row["infrared"])), cv2.IMREAD_GRAYSCALE)
    found = find(grey_8bit(visible), grey_8bit(infrared), RegistrationSettings())
    if found is None:
        return None
    truth = np.array([row[c] for c in H], float).reshape(3, 3)
    size = (infrared.shape[1], infrared.shape[0])
    known = bool(np.isfinite(truth).all())
    error = corner_error_px(found.refinement.h_ir_from_vis, truth, size) if known else np.inf
    return {
        "tier": row["tier"],
        "scene": row["scene"],
        "width": size[0],
        "error": error,
        **asdict(found.evidence),
    }


def fit_logistic(z: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return constant and coefficients of a ridge logistic regression (Newton's method)."""
    a = np.c_[np.ones(len(z)), z]
    b = np.zeros(a.shape[1])
    ridge = RIDGE["logit"] * np.diag([1e-6] + [1.0] * z.shape[1])
    for _ in range(60):
        p = 1 / (1 + np.exp(-a @ b))
        b -= np.linalg.solve((a.T * (p * (1 - p))) @ a + ridge, a.T @ (p - right) + ridge @ b)
    return b


def fit_linear(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return constant and coefficients of a ridge regression."""
    a = np.c_[np.ones(len(z)), z]
    return np.linalg.solve(a.T @ a + RIDGE["error"] * np.diag([0.0] + [1.0] * z.shape[1]), a.T @ y)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cache", type=Path, help="keep or reuse the measured evidence")
    args = parser.parse_args()
    if args.cache and args.cache.exists():
        table = pd.read_pickle(args.cache)
    else:
        jobs = [(f, r) for f in args.folders for r in pd.read_csv(Path(f) / "truth.csv").to_dict("records")]
        with ProcessPoolExecutor(args.jobs) as pool:
            table = pd.DataFrame([r for r in pool.map(measure, jobs, chunksize=4) if r])
        if args.cache:
            table.to_pickle(args.cache)
    report(table)


def report(table: pd.DataFrame) -> None:
    """Print the cross-validated figures and the constants."""
    x = table[FIELDS].to_numpy(float)
    mean, spread = x.mean(0), x.std(0)
    z = (x - mean) / spread
    right = (table["error"] < RIGHT_PX).to_numpy()
    fold = table["scene"].astype("category").cat.codes.to_numpy() % FOLDS
    unit = UNIT_WIDTH / table["width"].to_numpy(float)
    log_error = np.log(np.maximum(np.where(right, table["error"], 1) * unit, 1))
    belief, expected = np.zeros(len(z)), np.zeros(len(z))
    for k in range(FOLDS):
        test, train = fold == k, fold != k
        belief[test] = 1 / (
            1 + np.exp(-np.c_[np.ones(test.sum()), z[test]] @ fit_logistic(z[train], right[train]))
        )
        b = fit_linear(z[train & right], log_error[train & right])
        expected[test] = np.c_[np.ones(test.sum()), z[test]] @ b
    negative = (table["tier"] == "negative").to_numpy()
    print(f"{len(table)} pairs, {negative.sum()} of different scenes; figures on scenes left out of the fit")
    for threshold in (0.3, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8):
        yes = belief >= threshold
        print(
            f"accepted from {threshold:.2f}: {yes[negative].mean():6.1%} of different scenes,"
            f" {yes[right & ~negative].mean():6.1%} of right answers,"
            f" wrong and accepted {(yes & ~right & ~negative).sum() / (~negative).sum():5.1%} of pairs"
        )
    accepted = right & (belief >= 0.6)
    true_px = np.maximum(table["error"].to_numpy()[accepted], 1)
    said_px = np.maximum(np.exp(expected[accepted]) / unit[accepted], 1)
    print(f"predicted error within a factor 2: {(np.abs(np.log(said_px / true_px)) <= np.log(2)).mean():.1%}")
    for name, b in (
        ("LOGIT", fit_logistic(z, right)),
        ("LOG_ERROR", fit_linear(z[right], log_error[right])),
    ):
        raw = b[1:] / spread
        values = [b[0] - float(raw @ mean), *raw]
        print(f"{name} = ({', '.join(f'{v:.4g}' for v in values)})")


if __name__ == "__main__":
    main()
