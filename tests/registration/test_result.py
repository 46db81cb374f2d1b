from __future__ import annotations

import numpy as np
import pytest

from vircraft.registration import Registration


def test_a_refusal_has_no_homography_and_any_other_answer_has_one() -> None:
    with pytest.raises(ValueError, match="refused"):
        Registration("refused", np.eye(3))
    with pytest.raises(ValueError, match="refused"):
        Registration("fine")


@pytest.mark.parametrize("h", [np.full((3, 3), np.nan), np.eye(4), np.ones(9)])
def test_a_homography_is_a_finite_matrix(h: np.ndarray) -> None:
    with pytest.raises(ValueError, match="finite"):
        Registration("fine", h, 1.0)
