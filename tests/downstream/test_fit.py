"""The loop that trains every task's network."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from fgfusion_model.downstream.fit import _Fit, fit, generator
from fgfusion_model.downstream.settings import FitSettings, load_task_settings, overlaid
from fgfusion_model.downstream.weights import fill, load_task_weights
from fgfusion_model.training.events import DivergedError, Saved, Validated
from fgfusion_model.training.runtime import Runtime
from fgfusion_model.training.settings import ScheduleSettings
from vircraft.errors import DatasetError, InputFileError, SettingsError
from vircraft.settings import plain

RUNTIME = Runtime("cpu", checkpoint_s=0)
SETTINGS = FitSettings(steps=9, batch=3, learning_rate=0.05, validate_every=1)


@dataclass
class Line:
    """Find a line through points, with a dropout so that torch's own random state matters."""

    settings: FitSettings = SETTINGS
    task: str = "line"
    samples: int = 7
    held_out: int = 2
    data: str = "points"
    spoilt: bool = False
    seen: list[int] = field(default_factory=list)

    def make_network(self) -> nn.Module:
        return nn.Sequential(nn.Linear(1, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))

    def make_batch(self, samples: Sequence[int], seeds: Sequence[int]) -> Sequence[Tensor]:
        x = torch.tensor(
            [[s + float(generator(k).normal()) / 10] for s, k in zip(samples, seeds, strict=True)]
        )
        return [x, 2 * x + (float("nan") if self.spoilt else 1)]

    def loss(self, network: nn.Module, batch: Sequence[Tensor]) -> Tensor:
        return (network(batch[0]) - batch[1]).square().mean()

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        assert not network.training
        return {"value": float(network(torch.ones(1, 1)))}

    def record(self) -> Mapping[str, Any]:
        return {"fit": plain(self.settings)}


def assert_same_weights(left: Path, right: Path) -> None:
    ours, theirs = load_file(left), load_file(right)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    for settings in (SETTINGS, replace(SETTINGS, ema=0.9, optimiser="adamw", clip_norm=1.0)):
        whole, parts = tmp_path / f"whole{settings.ema}", tmp_path / f"parts{settings.ema}"
        fit(Line(settings), settings, whole, RUNTIME)
        asked = iter([False, False, True])
        first = fit(Line(settings), settings, parts, RUNTIME, stop=lambda it=asked: next(it))  # type: ignore[misc]
        assert (first.step, first.stopped) == (3, True)
        second = fit(Line(settings), settings, parts, RUNTIME, resume=True)
        assert (second.step, second.stopped) == (9, False)
        assert_same_weights(whole / "weights.safetensors", parts / "weights.safetensors")
        files = [(folder / "weights.safetensors").read_bytes() for folder in (whole, parts)]
        assert files[0] == files[1]
        assert (whole / "log.csv").read_text() == (parts / "log.csv").read_text()


def test_a_finished_run_is_not_taken_up_again(tmp_path: Path) -> None:
    fit(Line(), SETTINGS, tmp_path, RUNTIME)
    before = (tmp_path / "weights.safetensors").read_bytes()
    again = fit(Line(), SETTINGS, tmp_path, RUNTIME, resume=True)
    assert again.samples_per_s == 0
    assert (tmp_path / "weights.safetensors").read_bytes() == before
    with pytest.raises(DatasetError, match="--resume"):
        fit(Line(), SETTINGS, tmp_path, RUNTIME)


def test_the_seed_decides_weights_order_and_augmentation(tmp_path: Path) -> None:
    weights = []
    for number, seed in enumerate((0, 0, 1)):
        settings = replace(SETTINGS, seed=seed)
        fit(Line(settings), settings, tmp_path / str(number), RUNTIME)
        weights.append(load_file(tmp_path / str(number) / "weights.safetensors")["3.weight"])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_other_settings_or_data_are_not_mixed_into_a_run(tmp_path: Path) -> None:
    fit(Line(), SETTINGS, tmp_path, RUNTIME, stop=lambda: True)
    other = replace(SETTINGS, learning_rate=0.1)
    with pytest.raises(SettingsError, match=r"fit.learning_rate was 0.05, is 0.1"):
        fit(Line(other), other, tmp_path, RUNTIME, resume=True)
    with pytest.raises(SettingsError, match="other pictures or labels"):
        fit(Line(data="others"), SETTINGS, tmp_path, RUNTIME, resume=True)


def test_a_loss_that_is_not_finite_ends_the_run_and_names_the_step(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="step 1: the loss is nan"):
        fit(Line(spoilt=True), SETTINGS, tmp_path, RUNTIME)
    assert not (tmp_path / "weights.safetensors").exists()


def test_validation_and_checkpoints_are_told(tmp_path: Path) -> None:
    events: list[Any] = []
    fit(Line(), SETTINGS, tmp_path, Runtime("cpu"), on_event=events.append)
    assert [e.step for e in events if isinstance(e, Validated)] == [2, 4, 6, 8, 9]
    assert [e.step for e in events if isinstance(e, Saved)] == [9]
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == [str(k) for k in range(1, 10)]


def test_the_rate_follows_its_schedule(tmp_path: Path) -> None:
    settings = replace(SETTINGS, schedule=ScheduleSettings(warmup=0.0, decay="polynomial", power=1.0))
    fit(Line(settings), settings, tmp_path, RUNTIME)
    rates = [
        float(row["learning_rate"]) for row in csv.DictReader((tmp_path / "log.csv").read_text().splitlines())
    ]
    assert rates == pytest.approx([0.05 * (9 - k) / 9 for k in range(9)])


def test_weights_of_another_task_or_network_are_refused(tmp_path: Path) -> None:
    fit(Line(), SETTINGS, tmp_path, RUNTIME)
    path = tmp_path / "weights.safetensors"
    record, tensors = load_task_weights(path, "line")
    assert record["fit"]["batch"] == 3
    fill(Line().make_network(), tensors, path)
    with pytest.raises(InputFileError, match="'line', wanted those of a run of `vircraft task keypoints"):
        load_task_weights(path, "keypoints")
    with pytest.raises(InputFileError, match="does not fit"):
        fill(nn.Linear(1, 1), tensors, path)
    with pytest.raises(InputFileError, match="no safetensors file"):
        load_task_weights(tmp_path / "log.csv", "line")


def test_several_devices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="one device"):
        fit(Line(), SETTINGS, tmp_path, Runtime("cpu", devices=2))


def test_weights_of_a_damaged_or_an_older_record_are_refused(tmp_path: Path) -> None:
    path, tensors = tmp_path / "weights.safetensors", {"a": torch.zeros(1)}
    for metadata, words in (
        ({"vircraft": "{"}, "its record cannot be used"),
        ({"vircraft": "[]"}, "its record cannot be used"),
        ({"vircraft": '{"format": "vircraft-task-2", "task": "line"}'}, "its record cannot be used"),
        ({"vircraft": '{"format": "vircraft-task-9", "task": "line"}'}, "weights of 'vircraft-task-9'"),
        ({"format": "vircraft-task-1", "task": "line", "record": "{}"}, "weights of 'vircraft-task-1'"),
        ({}, "weights of 'another program'"),
    ):
        save_file(tensors, path, metadata)
        with pytest.raises(InputFileError, match=words):
            load_task_weights(path, "line")


def test_a_gpu_is_fed_by_several_threads_unless_told_otherwise() -> None:
    def readers(device: str, threads: int) -> int:
        fabric = SimpleNamespace(device=torch.device(device))
        return _Fit._readers(SimpleNamespace(fabric=fabric, runtime=Runtime(threads=threads)))  # type: ignore[arg-type]

    assert readers("cuda", 0) == min(8, os.cpu_count() or 1)
    assert (readers("cuda", 1), readers("cpu", 0), readers("cpu", 3)) == (1, 1, 3)


@dataclass(frozen=True)
class TaskSettings:
    fit: FitSettings = SETTINGS
    size: int = 64


def test_a_file_of_settings_changes_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "task.toml"
    path.write_text("size = 32\n[fit]\nepochs = 3\n[fit.schedule]\nwarmup = 0.5\n")
    loaded = load_task_settings(path, TaskSettings())
    assert (loaded.size, loaded.fit.epochs, loaded.fit.batch, loaded.fit.schedule.warmup) == (32, 3, 3, 0.5)
    with pytest.raises(SettingsError, match=r"unknown key 'fit\.epoch'; did you mean 'epochs'"):
        overlaid(TaskSettings(), {"fit": {"epoch": 1}})
    path.write_text('task = "line"\npictures = "visible"\n[settings]\nsize = 16\n')  # as a run writes it
    assert load_task_settings(path, TaskSettings()).size == 16
    path.write_text("[fit]\nbatch = 0\n")
    with pytest.raises(SettingsError, match=r"task\.toml: batch is 0"):
        load_task_settings(path, TaskSettings())
