"""Weights come back exactly, and whatever is not such a file is refused with its reason."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fgfusion_model.checkpoints import bundled_weights, load_weights, read_notes, save_weights
from fgfusion_model.network import FGFusion
from fgfusion_model.settings import NetworkSettings, preset
from vircraft.errors import InputFileError, SettingsError

TINY = NetworkSettings(channels=4, widths=(8, 8, 16), stage_blocks=1, heads=2, shared_body=True)


def trained() -> FGFusion:
    torch.manual_seed(0)
    model = FGFusion(TINY)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, 0, 0.1)
    model(torch.rand(2, 1, 32, 32), torch.rand(2, 1, 32, 32))  # moves the running statistics, too
    return model.eval()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    save_weights(path, trained(), {"recipe": "a test"})
    return path


def test_a_network_comes_back_as_it_was(saved: Path) -> None:
    model, back = trained(), load_weights(saved)
    assert back.settings == model.settings
    assert not back.training
    assert read_notes(saved) == {"recipe": "a test"}
    for (name, has), want in zip(back.state_dict().items(), model.state_dict().values(), strict=True):
        assert torch.equal(has, want), name
    picture = torch.rand(1, 1, 40, 40)
    with torch.no_grad():
        has, want = back(picture, picture).fused, model(picture, picture).fused
    torch.testing.assert_close(has, want, rtol=0, atol=1e-5)  # the layout in memory differs


def test_a_shared_body_is_stored_once_and_still_shared(saved: Path) -> None:
    back = load_weights(saved)
    assert back.deep_visible is back.deep_infrared
    assert not any(name.startswith("deep_visible") for name in load_file(saved))


def test_half_precision_takes_half_the_room_and_is_loaded_as_float32(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    save_weights(path, trained(), {}, half=True)
    assert path.stat().st_size < 0.75 * saved.stat().st_size  # the header stays
    back = load_weights(path)
    assert all(weight.dtype == torch.float32 for weight in back.parameters())
    for has, want in zip(back.parameters(), trained().parameters(), strict=True):
        torch.testing.assert_close(has, want, rtol=1e-3, atol=1e-6)


def test_a_note_cannot_take_the_place_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="network"):
        save_weights(tmp_path / "x.safetensors", trained(), {"network": "mine"})


def test_another_preset_than_expected_is_named(saved: Path) -> None:
    with pytest.raises(InputFileError, match=r"channels is 4, wanted 16") as caught:
        load_weights(saved, expected=preset("lite"))
    assert caught.value.reason == "other-settings"


def write_pickle(path: Path, _: Path) -> None:
    path.write_bytes(pickle.dumps({"a": 1}))


def write_torch_checkpoint(path: Path, _: Path) -> None:
    torch.save({"a": torch.zeros(1)}, path)


def write_foreign(path: Path, _: Path) -> None:
    save_file({"a": torch.zeros(1)}, path, {"format": "pt"})


def write_half_a_file(path: Path, saved: Path) -> None:
    path.write_bytes(saved.read_bytes()[:-100])


def write_text(path: Path, _: Path) -> None:
    path.write_text("these are no weights at all")


def write_nothing(path: Path, _: Path) -> None:
    path.write_bytes(b"")


def write_unknown_setting(path: Path, saved: Path) -> None:
    changed = saved.read_bytes().replace(b'\\"channels\\"', b'\\"channelz\\"')
    path.write_bytes(changed)


def write_other_shape(path: Path, saved: Path) -> None:
    path.write_bytes(saved.read_bytes().replace(b'\\"channels\\": 4', b'\\"channels\\": 8'))


def write_nan(path: Path, _: Path) -> None:
    model = trained()
    with torch.no_grad():
        model.reconstruction.out.weight[0, 0, 1, 1] = float("nan")
    save_weights(path, model, {})


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (write_pickle, "pickle"),
        (write_torch_checkpoint, "pickle"),
        (write_foreign, "foreign"),
        (write_half_a_file, "not-safetensors"),
        (write_text, "not-safetensors"),
        (write_nothing, "not-safetensors"),
        (write_unknown_setting, "bad-settings"),
        (write_other_shape, "other-settings"),
        (write_nan, "not-finite"),
    ],
)
def test_what_holds_no_usable_weights_is_refused(
    write: Callable[[Path, Path], None], reason: str, saved: Path, tmp_path: Path
) -> None:
    path = tmp_path / "other"
    write(path, saved)
    with pytest.raises(InputFileError) as caught:
        load_weights(path)
    assert caught.value.reason == reason
    assert caught.value.path == path


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for call in (load_weights, bundled_weights, FGFusion.from_pretrained):
        with pytest.raises(InputFileError) as caught:
            call(tmp_path / "none.safetensors")
        assert caught.value.reason == "missing"
    with pytest.raises(InputFileError, match="name of bundled ones"):
        FGFusion.from_pretrained("huge")


def test_a_path_is_loaded_by_from_pretrained(saved: Path) -> None:
    assert FGFusion.from_pretrained(str(saved)).settings == TINY
