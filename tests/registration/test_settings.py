from __future__ import annotations

import pytest

from vircraft.errors import SettingsError
from vircraft.registration import RegistrationSettings


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"recipe": "magic"}, "'magic'"),
        ({"scale_min": 0.9, "scale_max": 0.5}, "scale_min"),
        ({"scale_min": 0.01}, "0.01"),
        ({"scale_max": 2.0}, "2.0"),
        ({"scale_min": float("nan")}, "nan"),
        ({"rotation_deg": -1}, "-1"),
        ({"rotation_deg": 46}, "46"),
        ({"accept_probability": 1.5}, "1.5"),
        ({"accept_probability": 0.2, "coarse_probability": 0.4}, "coarse_probability 0.4"),
        ({"max_error_px": 0}, "max_error_px"),
    ],
)
def test_a_setting_out_of_range_is_named_with_its_value(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(SettingsError, match=named.replace(".", r"\.")) as caught:
        RegistrationSettings(**wrong)  # type: ignore[arg-type]
    assert caught.value.exit_code == 2
