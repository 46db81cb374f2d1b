"""What augmentation does to brightness, against plain formulas."""

from __future__ import annotations

import pytest
import torch

from fgfusion_model.training.augment import AugmentSettings, add_noise, draw_light, relight
from vircraft.errors import SettingsError

MANY = 4000


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def test_nothing_is_done_unless_it_is_asked_for() -> None:
    light = draw_light(MANY, AugmentSettings(), generator())
    for values in light[:3]:
        assert (values == 1).all()
    for values in light[3:]:
        assert (values == 0).all()


def test_gains_gammas_and_noise_keep_to_their_ranges_and_probabilities() -> None:
    settings = AugmentSettings(
        low_light=0.3, visible_gamma=0.6, infrared_gamma=0.2, gamma_spread=0.4, noise=0.5, polarity=0.1
    )
    light = draw_light(MANY, settings, generator())
    shares = {"visible_gain": 0.3, "visible_gamma": 0.6, "infrared_gamma": 0.2}
    for name, share in shares.items():
        assert abs(float((getattr(light, name) != 1).float().mean()) - share) < 0.03, name
    assert 0.25 <= float(light.visible_gain.min()) < 0.3
    assert light.visible_gain.max() <= 1
    logs = torch.log(light.visible_gamma[light.visible_gamma != 1])
    assert abs(float(logs.std()) - 0.4) < 0.02
    assert abs(float(logs.mean())) < 0.03
    assert abs(float((light.sigma > 0).float().mean()) - 0.5) < 0.03
    assert light.sigma.max() <= 0.03
    assert abs(float(light.inverted.mean()) - 0.1) < 0.02


def test_relighting_is_gamma_then_gain_and_inversion_comes_first() -> None:
    infrared, visible = torch.rand(2, 6, 1, 8, 8, generator=generator())
    settings = AugmentSettings(low_light=1, visible_gamma=1, infrared_gamma=1, polarity=0.5)
    light = draw_light(6, settings, generator())
    new_infrared, new_visible = relight(infrared, visible, light)
    for k in range(6):
        base = 1 - infrared[k] if light.inverted[k] else infrared[k]
        torch.testing.assert_close(new_infrared[k], base ** light.infrared_gamma[k])
        wanted = visible[k] ** light.visible_gamma[k] * light.visible_gain[k]
        torch.testing.assert_close(new_visible[k], wanted)


def test_noise_has_the_deviation_that_was_drawn_and_stays_in_range() -> None:
    grey = torch.full((2, 1, 200, 200), 0.5)
    noisy = add_noise(grey, torch.tensor([0.0, 0.05]), generator())
    assert torch.equal(noisy[0], grey[0])
    assert abs(float(noisy[1].std()) - 0.05) < 0.001
    wild = add_noise(grey, torch.tensor([0.5, 0.5]), generator())
    assert 0 <= float(wild.min()) <= float(wild.max()) <= 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"low_light": 1.5},
        {"gamma_spread": 3},
        {"shrink_most": 9},
        {"noise": -1},
        {"rotation_deg": float("nan")},
    ],
)
def test_settings_outside_their_range_are_errors_that_name_them(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        AugmentSettings(**wrong)
