"""A training: what it writes, that it goes on to the bit, and how it ends when something goes wrong."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import training_pairs
from fgfusion_model.checkpoints import read_notes
from fgfusion_model.data import Source
from fgfusion_model.losses import FusionLoss, LossTerms
from fgfusion_model.network import FGFusion
from fgfusion_model.settings import LossSettings
from fgfusion_model.training import loop as training
from fgfusion_model.training import state as training_state
from fgfusion_model.training.events import Began, DivergedError, Event, Remark, Saved, Validated
from fgfusion_model.training.loop import TrainingSummary, train
from fgfusion_model.training.runtime import Runtime
from fgfusion_model.training.settings import OptimiserSettings, TrainingSettings, load_training_settings
from vircraft.errors import DatasetError, InputFileError, SettingsError

QUICK = Runtime(device="cpu", tensorboard=False, checkpoint_s=1e6)
EVERY_STEP = replace(QUICK, checkpoint_s=0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return training_pairs.folders(tmp_path / "pairs", 6, ("ir", "vi", "labels"))


def curve(run: Path, name: str = "log.csv") -> list[dict[str, str]]:
    with (run / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def stop_after(steps: int) -> Callable[[], bool]:
    """Return a wish to stop that comes true after so many steps."""
    asked = iter(range(10**6))
    return lambda: next(asked) >= steps - 1


def assert_same_run(a: Path, b: Path) -> None:
    """Both runs have the same curves, weights and state, to the bit."""
    for name in ("log.csv", "validation.csv", "data.csv"):
        assert (a / name).read_bytes() == (b / name).read_bytes(), name
    for name in ("weights.safetensors", "checkpoints/last.safetensors"):
        ours, theirs = load_file(a / name), load_file(b / name)
        assert ours.keys() == theirs.keys()
        for key, tensor in ours.items():
            assert torch.equal(tensor, theirs[key]), f"{name}: {key}"


def test_a_run_holds_everything_that_is_promised(root: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    events: list[Event] = []
    settings = training_pairs.settings(root)
    summary = train(settings, run, replace(QUICK, tensorboard=True), on_event=events.append)
    assert (summary.step, summary.stopped, summary.left_out) == (4, False, ())
    names = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert {name for name in names if not name.startswith("tensorboard/")} == {
        *("settings.toml", "data.csv", "log.csv", "validation.csv", "weights.safetensors"),
        *("checkpoints/last.safetensors", "checkpoints/best.safetensors", "samples/step_00000004.png"),
    }
    assert any(name.startswith("tensorboard/") for name in names)
    assert [row["step"] for row in curve(run)] == ["1", "2", "3", "4"]
    assert {type(event) for event in events} >= {Began, Validated, Saved}
    (began,) = (event for event in events if isinstance(event, Began))
    assert (began.train, began.held_out, dict(began.masks)) == (5, 1, {"classes": 6})


def test_the_weights_load_as_a_network_and_say_how_they_were_made(root: Path, tmp_path: Path) -> None:
    settings = training_pairs.settings(root)
    summary = train(settings, tmp_path / "run", QUICK)
    network = FGFusion.from_pretrained(summary.weights)
    assert network.settings == training_pairs.TINY
    picture = torch.rand(1, 1, 40, 33)
    assert network(picture, picture).fused.shape == picture.shape
    notes = read_notes(summary.weights)
    assert json.loads(notes["settings"])["optimiser"]["name"] == "adamw"
    assert json.loads(notes["masks"]) == {"classes": 6}
    assert len(notes["data"]) == 16


def test_the_settings_of_a_run_read_back_as_what_they_were(root: Path, tmp_path: Path) -> None:
    settings = training_pairs.settings(Source(root, 2.5).path, seed=11)
    train(settings, tmp_path / "run", QUICK)
    again = load_training_settings(tmp_path / "run" / "settings.toml", TrainingSettings())
    assert again == settings


def test_training_lowers_the_loss(root: Path, tmp_path: Path) -> None:
    adam = OptimiserSettings("adamw", learning_rate=5e-3)
    settings = training_pairs.settings(root, steps=40, optimiser=adam)
    train(settings, tmp_path / "run", QUICK)
    losses = [float(row["total"]) for row in curve(tmp_path / "run")]
    assert np.mean(losses[-8:]) < 0.9 * np.mean(losses[:8])


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
@pytest.mark.parametrize("at", [1, 3])
def test_a_stopped_run_goes_on_to_the_bit(optimiser: str, at: int, root: Path, tmp_path: Path) -> None:
    settings = training_pairs.settings(
        root, steps=5, validate_every=1.0, optimiser=OptimiserSettings(optimiser, ema=0.9)
    )
    train(settings, tmp_path / "straight", QUICK)
    first = train(settings, tmp_path / "stopped", QUICK, stop=stop_after(at))
    assert (first.stopped, first.step) == (True, at)
    second = train(settings, tmp_path / "stopped", QUICK, resume=True)
    assert (second.stopped, second.step) == (False, 5)
    assert_same_run(tmp_path / "straight", tmp_path / "stopped")


def test_steps_after_the_last_checkpoint_are_done_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill: the curve is longer than the checkpoint, and its last line may be torn."""
    settings = training_pairs.settings(root, steps=5)
    train(settings, tmp_path / "straight", QUICK)
    killed = tmp_path / "killed"
    train(settings, killed, QUICK, stop=stop_after(2))
    with (killed / "log.csv").open("a") as file:
        file.write("3,0.6,9.0,9.0,9.0,9.0,9.0,9.0,9.0\n4,0.8,9.0,9")
    train(settings, killed, QUICK, resume=True)
    assert_same_run(tmp_path / "straight", killed)


def test_a_finished_run_is_left_as_it_is(root: Path, tmp_path: Path) -> None:
    settings, run = training_pairs.settings(root), tmp_path / "run"
    train(settings, run, QUICK)
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    summary = train(settings, run, QUICK, resume=True)
    assert (summary.step, summary.samples_per_s) == (4, 0.0)
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before


def test_dividing_a_step_into_parts_sees_the_same_crops(root: Path, tmp_path: Path) -> None:
    """Batch statistics differ between the parts, so that the losses are near and not the same."""
    for parts in (1, 2):
        train(training_pairs.settings(root, steps=1, accumulate=parts), tmp_path / f"{parts}", QUICK)
    losses = [float(curve(tmp_path / f"{parts}")[0]["total"]) for parts in (1, 2)]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


def test_other_settings_are_refused_and_the_difference_is_named(root: Path, tmp_path: Path) -> None:
    settings = training_pairs.settings(root)
    train(settings, tmp_path / "run", QUICK, stop=stop_after(1))
    other = replace(settings, loss=replace(settings.loss, mask_weight=1.0), seed=9)
    with pytest.raises(SettingsError, match=r"seed was 0, is 9; loss\.mask_weight was 3\.0, is 1\.0"):
        train(other, tmp_path / "run", QUICK, resume=True)


def test_other_data_are_refused_and_the_pair_is_named(root: Path, tmp_path: Path) -> None:
    settings = training_pairs.settings(root)
    train(settings, tmp_path / "run", QUICK, stop=stop_after(1))
    training_pairs.write(root / "ir" / "p2.png", training_pairs.scene(99)[0])
    (root / "vi" / "p3.png").unlink()
    with pytest.raises(SettingsError, match=r"1 missing \(pairs/p3\); 1 changed \(pairs/p2\)"):
        train(settings, tmp_path / "run", QUICK, resume=True)


def test_a_moved_dataset_is_the_same_data(root: Path, tmp_path: Path) -> None:
    train(training_pairs.settings(root), tmp_path / "run", QUICK, stop=stop_after(1))
    moved = root.rename(tmp_path / "elsewhere").parent / "elsewhere"
    (tmp_path / "new").mkdir()
    moved = moved.rename(tmp_path / "new" / "pairs")
    assert train(training_pairs.settings(moved), tmp_path / "run", QUICK, resume=True).step == 4


def test_a_run_is_not_overwritten_and_a_foreign_folder_not_used(root: Path, tmp_path: Path) -> None:
    settings = training_pairs.settings(root)
    train(settings, tmp_path / "run", QUICK, stop=stop_after(1))
    with pytest.raises(DatasetError, match="--resume"):
        train(settings, tmp_path / "run", QUICK)
    with pytest.raises(DatasetError, match="holds no run"):
        train(settings, root, QUICK)


def test_resuming_where_there_is_nothing_begins(root: Path, tmp_path: Path) -> None:
    assert train(training_pairs.settings(root), tmp_path / "run", QUICK, resume=True).step == 4


def poisoned(monkeypatch: pytest.MonkeyPatch, from_call: int) -> None:
    """Let the loss be NaN from a call on."""
    calls = iter(range(10**6))
    plain = FusionLoss.forward

    def forward(self: FusionLoss, *inputs: torch.Tensor) -> LossTerms:
        terms = plain(self, *inputs)
        bad = next(calls) >= from_call
        return terms._replace(total=terms.total * math.nan) if bad else terms

    monkeypatch.setattr(FusionLoss, "forward", forward)


def test_a_loss_that_is_nan_stops_with_its_batch_named_and_the_checkpoint_kept(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned(monkeypatch, 2)
    run = tmp_path / "run"
    with pytest.raises(
        DivergedError, match=r"step 3: the loss is nan on the batch pairs/p\d, .*step 2 is whole"
    ):
        train(training_pairs.settings(root), run, EVERY_STEP)
    assert training_state.read_progress(run / "checkpoints" / "last.safetensors").step == 2
    FGFusion.from_pretrained(run / "weights.safetensors")
    assert [row["step"] for row in curve(run)] == ["1", "2"]


def test_a_full_disk_leaves_the_last_checkpoint_whole(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, settings = tmp_path / "run", training_pairs.settings(root)
    train(settings, run, QUICK, stop=stop_after(2))
    before = (run / "checkpoints" / "last.safetensors").read_bytes()

    def full(path: Path, content: bytes) -> None:
        (path.parent / "half").write_bytes(content[:100])
        (path.parent / "half").unlink()
        raise DatasetError(f"{path}: cannot be written: No space left on device; make room")

    monkeypatch.setattr(training_state, "write_atomically", full)
    with pytest.raises(DatasetError, match="No space left"):
        train(settings, run, QUICK, resume=True)
    assert (run / "checkpoints" / "last.safetensors").read_bytes() == before
    monkeypatch.undo()
    assert train(settings, run, QUICK, resume=True).step == 4


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"PK\x03\x04", b'\x08\0\0\0\0\0\0\0{"a":1}x'])
def test_a_checkpoint_that_is_none_is_refused(content: bytes, root: Path, tmp_path: Path) -> None:
    settings = training_pairs.settings(root)
    train(settings, tmp_path / "run", QUICK, stop=stop_after(1))
    (tmp_path / "run" / "checkpoints" / "last.safetensors").write_bytes(content)
    with pytest.raises(InputFileError, match="checkpoint"):
        train(settings, tmp_path / "run", QUICK, resume=True)


def test_weights_are_no_checkpoint_to_go_on_from(root: Path, tmp_path: Path) -> None:
    settings, run = training_pairs.settings(root), tmp_path / "run"
    train(settings, run, QUICK, stop=stop_after(1))
    (run / "checkpoints" / "last.safetensors").write_bytes((run / "weights.safetensors").read_bytes())
    with pytest.raises(InputFileError, match="another program or version"):
        train(settings, run, QUICK, resume=True)


def remarks(summary: TrainingSummary) -> str:
    return "\n".join(summary.remarks)


def test_without_labels_the_stand_in_is_said_and_noted(tmp_path: Path) -> None:
    root = training_pairs.folders(tmp_path / "pairs", 4)
    events: list[Event] = []
    summary = train(training_pairs.settings(root), tmp_path / "run", QUICK, on_event=events.append)
    assert "saliency stands in" in remarks(summary)
    assert any(isinstance(event, Remark) and "saliency" in event.text for event in events)
    assert "saliency" in read_notes(summary.weights)["remarks"]


def test_without_labels_and_stand_in_the_foreground_branch_is_off(tmp_path: Path) -> None:
    root = training_pairs.folders(tmp_path / "pairs", 4)
    settings = training_pairs.settings(root)
    settings = replace(settings, data=replace(settings.data, unlabelled="off"))
    summary = train(settings, tmp_path / "run", QUICK, stop=stop_after(2))
    assert "foreground branch is off" in remarks(summary)
    assert train(settings, tmp_path / "run", QUICK, resume=True).step == 4
    assert not FGFusion.from_pretrained(summary.weights).settings.foreground
    assert {float(row["foreground"]) for row in curve(tmp_path / "run")} == {0.0}


def test_pairs_without_labels_beside_labelled_ones_can_teach_nothing(root: Path, tmp_path: Path) -> None:
    plain = training_pairs.folders(tmp_path / "plain", 4)
    settings = training_pairs.settings(root, plain)
    settings = replace(settings, data=replace(settings.data, unlabelled="off"))
    summary = train(settings, tmp_path / "run", QUICK)
    assert "4 of 10 pairs have no labels and teach the foreground branch nothing" in remarks(summary)
    assert all(math.isfinite(float(row["total"])) for row in curve(tmp_path / "run"))


def test_clips_never_straddle_the_split(tmp_path: Path) -> None:
    for clip in "abcde":
        for frame in range(4):
            pictures = training_pairs.scene(frame)
            for name, picture in zip(("infrared", "visible"), pictures, strict=False):
                training_pairs.write(tmp_path / "d" / name / f"{clip}_{frame:06d}.png", picture)
    train(training_pairs.settings(tmp_path / "d"), tmp_path / "run", QUICK)
    splits: dict[str, set[str]] = {}
    for row in curve(tmp_path / "run", "data.csv"):
        splits.setdefault(row["name"].rpartition("_")[0], set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    assert set.union(*splits.values()) == {"train", "val"}


def test_the_only_clip_is_trained_on_and_that_is_said(tmp_path: Path) -> None:
    training_pairs.folders(tmp_path / "d", 1)
    summary = train(training_pairs.settings(tmp_path / "d"), tmp_path / "run", QUICK)
    assert "only one clip" in remarks(summary)
    assert not (tmp_path / "run" / "checkpoints" / "best.safetensors").exists()


def test_damaged_pairs_are_reported_and_training_goes_on(root: Path, tmp_path: Path) -> None:
    (root / "ir" / "p1.png").write_bytes(b"no picture")
    (root / "vi" / "p2.png").unlink()
    summary = train(training_pairs.settings(root), tmp_path / "run", QUICK)
    assert summary.step == 4
    assert sorted(entry.reason for entry in summary.left_out) == ["unpaired", "unreadable"]


def test_nothing_left_to_train_on_is_an_error_that_shows_the_first_reason(tmp_path: Path) -> None:
    training_pairs.write(tmp_path / "d" / "infrared" / "a.png", np.zeros((40, 40), np.uint8))
    training_pairs.write(tmp_path / "d" / "visible" / "a.png", np.zeros((40, 41), np.uint8))
    with pytest.raises(DatasetError, match="41x40"):
        train(training_pairs.settings(tmp_path / "d"), tmp_path / "run", QUICK)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error_with_the_next_step(root: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--device cpu"):
        train(training_pairs.settings(root), tmp_path / "run", replace(QUICK, device="cuda"))


def test_a_batch_that_devices_and_parts_do_not_divide_is_an_error(root: Path) -> None:
    with pytest.raises(SettingsError, match="4, which 1 devices x 3 parts"):
        training_pairs.settings(root, accumulate=3)


def test_sixteen_bits_train_and_keep_32_bit_weights(root: Path, tmp_path: Path) -> None:
    summary = train(training_pairs.settings(root, steps=2, precision="bf16"), tmp_path / "run", QUICK)
    tensors = load_file(summary.weights)
    assert {t.dtype for t in tensors.values() if t.is_floating_point()} == {torch.float32}


@pytest.mark.parametrize("part", ["foreground", "interaction"])
def test_every_ablation_trains(part: str, root: Path, tmp_path: Path) -> None:
    network = replace(training_pairs.TINY, **{part: False})
    settings = training_pairs.settings(root, steps=2, network=network, loss=LossSettings(mask_weight=1.0))
    assert train(settings, tmp_path / "run", QUICK).step == 2


def test_the_same_seed_gives_the_same_run_and_another_one_does_not(root: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(training_pairs.settings(root, steps=2, seed=seed), tmp_path / name, QUICK)
    assert_same_run(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a" / "log.csv").read_bytes() != (tmp_path / "c" / "log.csv").read_bytes()


def test_a_training_leaves_torch_as_it_found_it(root: Path, tmp_path: Path) -> None:
    benchmark, state = torch.backends.cudnn.benchmark, torch.get_rng_state()
    train(training_pairs.settings(root, steps=1), tmp_path / "run", QUICK)
    assert torch.backends.cudnn.benchmark == benchmark
    assert torch.equal(torch.get_rng_state(), state)


def test_the_mean_over_the_weights_follows_them(root: Path, tmp_path: Path) -> None:
    """Without decay the mean is the weights themselves; with it, the recursion over the steps gives it."""
    settings = training_pairs.settings(root, steps=1, optimiser=OptimiserSettings("adamw", ema=0.0))
    train(settings, tmp_path / "run", QUICK)
    state = load_file(tmp_path / "run" / "checkpoints" / "last.safetensors")
    for name, tensor in state.items():
        if name.startswith("network."):
            assert torch.equal(tensor, state["mean." + name.removeprefix("network.")])
    learner = training.make_learner(
        replace(settings, optimiser=OptimiserSettings(ema=0.9)), torch.device("cpu")
    )
    wanted = next(learner.mean.parameters()).detach().clone().double()
    for step in range(30):
        with torch.no_grad():
            next(learner.network.parameters()).add_(0.1)
        learner.follow(step, 0.9)
        decay = min(0.9, (1 + step) / (10 + step))
        wanted = decay * wanted + (1 - decay) * next(learner.network.parameters()).detach().double()
    torch.testing.assert_close(next(learner.mean.parameters()).double(), wanted, rtol=1e-5, atol=1e-6)
