"""Experiments with a fake task: cells in processes of their own, kept, resumed, made again, or failed."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import experiment_as_command
from experiment_inputs import KINDS, grey, judged_stems, make_inputs, write_pictures, write_plan
from fgfusion_model.experiments.events import Ended, Planned, SetAside
from fgfusion_model.experiments.plan import load_plan
from fgfusion_model.experiments.runner import ExperimentSummary, RunOptions, run_experiment
from fgfusion_model.experiments.tables import write_tables
from vircraft.errors import DatasetError, SettingsError

BASES = {"Visible": 40, "Good": 80, "Bad": 20}
REPOSITORY = Path(experiment_as_command.TESTS).parent


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY))  # for the cells' processes: tests/ shadows the package


def run(plan: Path, options: RunOptions | None = None, events: list[Any] | None = None) -> ExperimentSummary:
    listener = [].append if events is None else events.append
    return run_experiment(
        load_plan(plan, KINDS), plan.parent / "out", options or RunOptions(jobs=2), kinds=KINDS,
        on_event=listener,
    )  # fmt: skip


def calls(root: Path) -> Counter[str]:
    log = root / "calls.log"
    return Counter(log.read_text().splitlines()) if log.exists() else Counter()


def tables(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / "tables").iterdir())}


def expected(method: str, seed: int) -> float:
    return float(np.mean([grey(stem, BASES[method]) / 255 for stem in judged_stems()])) + seed / 1000


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an experiment that was run once."""
    root = tmp_path_factory.mktemp("done")
    plan = make_inputs(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(REPOSITORY))
        summary = run(plan)
    assert summary.cells == dict.fromkeys(summary.cells, "done")
    assert len(summary.cells) == 6
    return root


def test_the_table_is_what_a_hand_computes(done: Path) -> None:
    with (done / "out/tables/table_2_fake.csv").open(newline="") as file:
        rows = {(row["method"], row["score"]): row for row in csv.DictReader(file)}
    for method in BASES:
        values = [expected(method, seed) for seed in (0, 1)]
        row = rows[method, "score"]
        assert [float(v) for v in row["values"].split()] == pytest.approx(values, abs=1e-12)
        assert float(row["mean"]) == pytest.approx(np.mean(values), abs=1e-12)
        assert float(row["std"]) == pytest.approx(np.std(values, ddof=1), abs=1e-12)
        assert float(rows[method, "half"]["mean"]) == pytest.approx(np.mean(values) / 2, abs=1e-12)
    assert [rows[m, "score"]["place"] for m in BASES] == ["2", "1", "3"]
    against = rows["Bad", "score"]
    assert against["compared_with"] == "Good"
    assert float(against["difference"]) == pytest.approx(60 / 255)
    assert (float(against["p"]), float(against["p_holm"])) == (2 / 2**6, 4 / 2**6)
    assert (against["clips"], against["pictures"]) == ("6", "12")


def test_markdown_and_latex_mark_the_best_and_the_second(done: Path) -> None:
    text = (done / "out/tables/table_2_fake.md").read_text()
    good, visible = (100 * np.mean([expected(m, s) for s in (0, 1)]) for m in ("Good", "Visible"))
    assert f"| Good | **{good:.2f} ± 0.07** |" in text
    assert f"| Visible | <u>{visible:.2f} ± 0.07</u> |" in text
    latex = (done / "out/tables/table_2_fake.tex").read_text()
    assert rf"Good & \textbf{{{good:.2f} $\pm$ 0.07}} &" in latex
    body = latex[latex.index(r"\begin{tabular}{lcc}") :]
    assert re.findall(r"\\(toprule|midrule|bottomrule)", body) == ["toprule", "midrule", "bottomrule"]
    lines = body[body.index(r"\toprule") : body.index(r"\bottomrule")].splitlines()
    assert [line.count("&") for line in lines if line.endswith(r"\\")] == [2] * 4
    assert latex.count("{") == latex.count("}")


def test_nothing_that_is_done_is_repeated(done: Path) -> None:
    before, files = calls(done), tables(done / "out")
    summary = run(done / "plan.toml")
    assert summary.kept == 6
    assert calls(done) == before
    assert tables(done / "out") == files
    assert {name: n for name, n in before.items() if n > 1} == {f"evaluate {m}": 2 for m in
                                                                ("visible", "good", "bad")}  # fmt: skip


def test_changed_pictures_make_their_cells_again_and_no_others(tmp_path: Path) -> None:
    plan = make_inputs(tmp_path)
    run(plan)
    write_pictures(tmp_path / "fused/bad", ["test_00_000000"], 90)
    events: list[Any] = []
    summary = run(plan, events=events)
    [planned] = [event for event in events if isinstance(event, Planned)]
    assert [name for name, action in planned.actions.items() if action == "again"] == [
        "fake/Bad/seed-0", "fake/Bad/seed-1",
    ]  # fmt: skip
    asides = [event for event in events if isinstance(event, SetAside)]
    assert [event.changes for event in asides] == [("pictures",)] * 2
    assert all((event.folder / "result.json").is_file() for event in asides)
    assert summary.kept == 4
    assert calls(tmp_path)["train bad 0"] == 2


def test_a_cell_that_fails_or_is_killed_stops_no_other(tmp_path: Path) -> None:
    make_inputs(tmp_path)
    plan = write_plan(tmp_path, task='settings = {fail = "bad", die = "visible"}')
    events: list[Any] = []
    summary = run(plan, events=events)
    states = {name: state for name, state in summary.cells.items() if name.endswith("seed-0")}
    assert states == {
        "fake/Visible/seed-0": "crashed",
        "fake/Good/seed-0": "done",
        "fake/Bad/seed-0": "failed",
    }
    assert "cannot be learnt" in summary.failures["fake/Bad/seed-0"]
    assert "SIGKILL" in summary.failures["fake/Visible/seed-0"]
    assert calls(tmp_path)["train visible 0"] == 2, "a killed one is tried once more, alone"
    ends = [e for e in events if isinstance(e, Ended) and e.cell.name == "fake/Visible/seed-0"]
    assert [event.state for event in ends] == ["running", "crashed"]
    assert "SIGKILL" in ends[0].message
    assert "tried once more" in ends[0].message
    text = (tmp_path / "out/tables/tables.md").read_text()
    assert "| Bad | – | – |" in text
    assert "Bad, seed 0: failed: " in text
    before = calls(tmp_path)
    assert len(run(plan).failures) == 4
    assert calls(tmp_path) == before, "what failed on the same inputs is not tried again by itself"
    run(plan, RunOptions(jobs=2, only=("fake/Bad/seed-0",), retry_failed=True))
    assert calls(tmp_path)["train bad 0"] == before["train bad 0"] + 1


def test_killed_half_way_and_run_again_gives_the_same_tables(done: Path, tmp_path: Path) -> None:
    make_inputs(tmp_path)
    write_plan(tmp_path, task="settings = {pause_s = 0.15}")
    command = [sys.executable, experiment_as_command.__file__, "experiment", "run", tmp_path / "plan.toml"]
    process = subprocess.Popen(
        [*map(str, command), "-o", str(tmp_path / "out"), "--jobs", "2", "-q"], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not calls(tmp_path)["step good 0 2"] and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not (tmp_path / "out/tables").exists()
    summary = run(tmp_path / "plan.toml")
    assert summary.cells == dict.fromkeys(summary.cells, "done")
    assert tables(tmp_path / "out") == tables(done / "out")
    assert max(calls(tmp_path)[f"step good 0 {step}"] for step in (1, 2)) == 1, "it went on from there"


def test_asked_to_stop_it_writes_a_checkpoint_and_goes_on_later(tmp_path: Path) -> None:
    make_inputs(tmp_path)
    path = write_plan(tmp_path, task="settings = {pause_s = 0.1}")
    events: list[Any] = []
    summary = run_experiment(
        load_plan(path, KINDS), tmp_path / "out", RunOptions(jobs=1), kinds=KINDS, on_event=events.append,
        stop=lambda: calls(tmp_path)["step visible 0 2"] > 0,
    )  # fmt: skip
    assert summary.stopped
    assert summary.cells == {"fake/Visible/seed-0": "running"}
    assert not [event for event in events if isinstance(event, Ended) and event.state != "running"]
    run(path, RunOptions(only=("fake/Visible/seed-0",)))
    assert [calls(tmp_path)[f"step visible 0 {step}"] for step in (1, 2, 3, 4)] == [1, 1, 1, 1]


def test_a_cell_that_was_killed_once_before_a_stop_is_tried_again_the_next_time(tmp_path: Path) -> None:
    make_inputs(tmp_path)
    path = write_plan(tmp_path, task='settings = {die = "visible"}')
    options = RunOptions(jobs=1, only=("fake/Visible/seed-0",))
    summary = run_experiment(
        load_plan(path, KINDS), tmp_path / "out", options, kinds=KINDS,
        stop=lambda: calls(tmp_path)["train visible 0"] > 0,
    )  # fmt: skip
    assert summary.stopped
    assert summary.cells == {"fake/Visible/seed-0": "running"}
    assert calls(tmp_path)["train visible 0"] == 1
    path = write_plan(tmp_path, task='settings = {die = ""}')  # as if memory were free again
    text = (tmp_path / "out/cells/fake/Visible/seed-0/cell.json").read_text()
    assert json.loads(text)["state"] == "running"
    assert run(path, options).cells == {"fake/Visible/seed-0": "done"}


def test_cells_of_two_recipes_in_one_table_are_told_and_claim_nothing(tmp_path: Path) -> None:
    make_inputs(tmp_path)
    methods, task = '[[ablation]]\nname = "Less"\npictures = "fused/bad"', "settings = {fit = {steps = 3}}"
    run(write_plan(tmp_path, methods=methods), RunOptions(only=("*/*/seed-0",)))
    changed = write_plan(tmp_path, methods=methods, task=task)
    write_tables(load_plan(changed, KINDS), tmp_path / "out", KINDS)
    text = (tmp_path / "out/tables/table_2_fake.md").read_text()
    assert "made of another plan (settings.fit.steps differ): no claim" in text
    run(changed, RunOptions(only=("fake/Good/seed-0",)))
    for name in ("table_2_fake.md", "table_5_ablations.md"):
        text = (tmp_path / "out/tables" / name).read_text()
        assert "no common recipe and labels (settings.fit.steps differ): no claim" in text
        assert "Good has the highest" not in text
        assert "against each" not in text
        assert "| **" not in text, "none is marked as the best"


def test_done_cells_whose_pictures_are_gone_are_shown_and_claim_nothing(tmp_path: Path) -> None:
    plan = make_inputs(tmp_path)
    options = RunOptions(only=("*/*/seed-0",), keep_going=True)
    run(plan, options)
    (tmp_path / "fused/good/test_00_000000.png").unlink()
    assert run(plan, options).failures.keys() == {"fake/Good/seed-0"}
    text = (tmp_path / "out/tables/table_2_fake.md").read_text()
    assert f"| Good | {100 * expected('Good', 0):.2f} |" in text
    assert "Good is shown from before, its inputs cannot be used now (" in text
    assert "against each" not in text


def test_a_half_trained_cell_whose_pictures_are_missing_for_a_while_goes_on_later(tmp_path: Path) -> None:
    make_inputs(tmp_path)
    plan = write_plan(tmp_path, task="settings = {pause_s = 0.05}")
    options = RunOptions(jobs=1, only=("fake/Good/seed-0",), keep_going=True)
    run_experiment(
        load_plan(plan, KINDS), tmp_path / "out", options, kinds=KINDS,
        stop=lambda: calls(tmp_path)["step good 0 2"] > 0,
    )  # fmt: skip
    picture = tmp_path / "fused/good/test_00_000000.png"
    picture.rename(tmp_path / "away.png")
    assert run(plan, options).cells == {"fake/Good/seed-0": "failed"}
    (tmp_path / "away.png").rename(picture)
    assert run(plan, options).cells == {"fake/Good/seed-0": "done"}
    assert [calls(tmp_path)[f"step good 0 {step}"] for step in (1, 2, 3, 4)] == [1, 1, 1, 1]


def test_a_dry_run_tells_what_will_be_fused_anew(tmp_path: Path) -> None:
    make_inputs(tmp_path)
    plan = write_plan(tmp_path, methods='[[method]]\nname = "Mean"\nbaseline = "Average"')
    run(plan, RunOptions(only=("fake/Mean/seed-0",)))
    write_pictures(tmp_path / "dataset/visible", ["test_01_000000"], 90)
    ahead = time.time() + 10
    os.utime(tmp_path / "dataset/visible/test_01_000000.png", (ahead, ahead))
    events: list[Any] = []
    run(plan, RunOptions(only=("fake/Mean",), dry_run=True), events)
    [planned] = [event for event in events if isinstance(event, Planned)]
    assert planned.actions == {"fake/Mean/seed-0": "fuse", "fake/Mean/seed-1": "make"}


def test_a_validation_split_that_is_damaged_is_told(tmp_path: Path) -> None:
    plan = make_inputs(tmp_path)
    (tmp_path / "dataset/annotations/instances_val.json").write_text('{"images": []}')
    with pytest.raises(DatasetError, match=r"fake: .*instances_val.json"):
        run(plan, RunOptions(dry_run=True))


def test_the_state_of_a_training_that_is_done_goes_and_its_weights_stay(tmp_path: Path) -> None:
    make_inputs(tmp_path)
    plan = write_plan(tmp_path, task="settings = {pause_s = 0.1}")
    options = RunOptions(jobs=1, only=("fake/Good/seed-0",))
    run_experiment(
        load_plan(plan, KINDS), tmp_path / "out", options, kinds=KINDS,
        stop=lambda: calls(tmp_path)["step good 0 2"] > 0,
    )  # fmt: skip
    training = tmp_path / "out/cells/fake/Good/seed-0/run"
    state = training / "checkpoints/last.safetensors"
    state.parent.mkdir()
    state.touch()
    assert run(plan, options).cells == {"fake/Good/seed-0": "done"}
    assert not state.exists()
    assert (training / "step").is_file()


def test_a_task_on_other_data_shows_none_of_the_papers_figures(tmp_path: Path) -> None:
    make_inputs(tmp_path)
    run(write_plan(tmp_path), RunOptions(only=("fake/Good/seed-0",)))
    for table, shown in (("", True), ("table = 0", False)):
        task = f'scores = ["AP75"]\n{table}'
        plan = load_plan(write_plan(tmp_path, task=task, head="paper = true"), KINDS)
        write_tables(plan, tmp_path / "out", KINDS)
        text = (tmp_path / "out/tables/table_2_fake.md").read_text()
        assert ("| *Visible, paper* | 60.29 |" in text, "multiples of 1/68" in text) == (shown, shown)


def test_a_score_that_no_cell_has_is_named_below_the_table(tmp_path: Path) -> None:
    make_inputs(tmp_path)
    run(write_plan(tmp_path, task='scores = ["score", "quarter"]'), RunOptions(only=("fake/Good/seed-0",)))
    text = (tmp_path / "out/tables/table_2_fake.md").read_text()
    assert "No cell has the score quarter; there are score, half." in text


def test_all_missing_pictures_are_named_before_anything_is_trained(tmp_path: Path) -> None:
    plan = make_inputs(tmp_path)
    (tmp_path / "fused/good/test_00_000000.png").unlink()
    write_pictures(tmp_path / "fused/bad", ["test_01_000000"], 20, size_wh=(80, 32))
    with pytest.raises(DatasetError) as error:
        run(plan)
    assert re.search(r"fake/Good: .*1 of 12 pictures are missing \(test_00_000000\)", str(error.value))
    assert re.search(r"fake/Bad: .*test_01_000000.png is 80x32, not 40x32", str(error.value))
    assert not calls(tmp_path)
    summary = run(plan, RunOptions(jobs=2, keep_going=True, only=("*/*/seed-0",)))
    assert Counter(summary.cells.values()) == {"failed": 2, "done": 1}


def test_wrong_pictures_of_every_split_are_named(tmp_path: Path) -> None:
    plan = make_inputs(tmp_path)
    write_pictures(tmp_path / "fused/bad", ["test_01_000000", "train_00_000010"], 20, size_wh=(80, 32))
    with pytest.raises(DatasetError) as error:
        run(plan, RunOptions(dry_run=True))
    assert re.search(r"train_00_000010.png is 80x32.*\(split train\)", str(error.value))
    assert re.search(r"test_01_000000.png is 80x32.*\(split test\)", str(error.value))


@pytest.mark.parametrize("dry_run", [True, False])
def test_missing_weights_are_named_before_anything_is_fused(dry_run: bool, tmp_path: Path) -> None:
    make_inputs(tmp_path)
    methods = (
        '[[method]]\nname = "Mean"\nbaseline = "Average"\n'
        '[[method]]\nname = "Ours"\nweights = "runs/full.safetensors"'
    )
    with pytest.raises(DatasetError, match=r"fake/Ours: .*runs/full.safetensors: no such weights"):
        run(write_plan(tmp_path, methods=methods), RunOptions(dry_run=dry_run))
    assert not (tmp_path / "out/fused").exists()


def test_weights_that_cannot_be_read_fail_the_cells_of_all_tasks_with_the_reason(tmp_path: Path) -> None:
    make_inputs(tmp_path)
    (tmp_path / "bad.safetensors").write_bytes(b"no weights")
    second = '[[task]]\nname = "second"\nkind = "other"\ndata = "dataset"'
    methods = '[[method]]\nname = "Ours"\nweights = "bad.safetensors"'
    plan = write_plan(tmp_path, task=second, methods=methods)
    summary = run(plan, RunOptions(keep_going=True, only=("*/Ours/seed-0",)))
    assert summary.failures.keys() == {"fake/Ours/seed-0", "second/Ours/seed-0"}
    assert all("bad.safetensors" in why for why in summary.failures.values())


def test_a_missing_folder_and_a_missing_split_are_named(tmp_path: Path) -> None:
    make_inputs(tmp_path)
    extra = '[[method]]\nname = "Gone"\npictures = "fused/gone"'
    with pytest.raises(DatasetError, match=r"fake/Gone: .*fused/gone: does not exist"):
        run(write_plan(tmp_path, methods=extra))
    with pytest.raises(DatasetError, match=r"fake: .*no labels for the split 'final'"):
        run(write_plan(tmp_path, task='test = "final"'))


def test_a_pair_that_cannot_be_fused_is_named_with_the_reason(tmp_path: Path) -> None:
    make_inputs(tmp_path)
    write_pictures(tmp_path / "dataset/visible", ["test_01_000000"], 40, size_wh=(80, 32))
    plan = write_plan(tmp_path, methods='[[method]]\nname = "Mean"\nbaseline = "Average"')
    with pytest.raises(DatasetError, match=r"fake/Mean: .*\(test_01_000000\).*; not fused: .*80x32"):
        run(plan, RunOptions(only=("fake/Mean",)))


def test_a_dataset_with_folders_for_its_splits_is_fused_into_such_folders(tmp_path: Path) -> None:
    stems = {"train": ["train_01_000000", "train_02_000000"], "test": judged_stems()}
    for split, names in stems.items():
        for folder, base in (("ir", 60), ("vi", 40), ("Segmentation_labels", 0)):
            write_pictures(tmp_path / "MSRS" / split / folder, names, base)
    (tmp_path / "plan.toml").write_text(
        'name="m"\nseeds=[7]\n[[method]]\nname="Mean"\nbaseline="Average"\n'
        '[[task]]\nname="maps"\nkind="maps"\ndata="MSRS"\n'
    )
    summary = run(tmp_path / "plan.toml")
    assert summary.cells == {"maps/Mean/seed-7": "done"}
    fused = tmp_path / "out/fused/Mean/maps"
    assert {p.name: len(list(p.iterdir())) for p in fused.iterdir()} == {"train": 2, "test": 12}


def test_a_dataset_without_the_validation_split_has_none(tmp_path: Path) -> None:
    plan = make_inputs(tmp_path)
    (tmp_path / "dataset/annotations/instances_val.json").unlink()
    run(plan, RunOptions(only=("fake/Good/seed-0",)))
    record = json.loads((tmp_path / "out/cells/fake/Good/seed-0/cell.json").read_text())
    assert record["inputs"]["splits"] == {"train": "train", "val": "", "test": "test"}


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ('preset = "large"', "preset of task 'fake' is 'large'; known are paper, small"),
        ("settings = {fit = {epochs = 2}}", "settings of task 'fake': unknown key 'fit.epochs'"),
    ],
)
def test_wrong_settings_are_told_before_anything_is_read(task: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=words):
        run(write_plan(tmp_path, task=task))  # nothing of the data is there


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    plan = make_inputs(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.tex").touch()
    with pytest.raises(DatasetError, match="not empty"):
        run(plan)


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    plan = make_inputs(tmp_path)
    events: list[Any] = []
    run(plan, RunOptions(jobs=3, dry_run=True), events)
    [planned] = [event for event in events if isinstance(event, Planned)]
    assert planned.jobs == 3
    assert set(planned.actions.values()) == {"make"}
    assert not (tmp_path / "out").exists()


def test_ablations_stand_in_tab_5_above_the_reference_with_the_papers_figures(tmp_path: Path) -> None:
    make_inputs(tmp_path)
    methods = (
        '[[method]]\nname = "Max"\nbaseline = "Max"\nseeds = [0]\n'
        '[[ablation]]\nname = "Without"\npictures = "fused/bad"\nseeds = [1]\npaper = "without foreground"'
    )
    task = '[[task]]\nname = "second"\nkind = "other"\ndata = "dataset"\nmethods = ["Good", "Without", "Max"]'
    plan = write_plan(tmp_path, task=task, head="paper = true", methods=methods)
    text = plan.read_text().replace('name = "Good"', 'name = "Good"\npaper = "FGFusion"')
    plan.write_text(text)
    run(plan)
    text = (tmp_path / "out/tables/table_5_ablations.md").read_text()
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert "| | fake score | second score |" in text
    assert [row[0] for row in rows[1:5]] == ["| Without", "| *Without, paper*", "| Good", "| *Good, paper*"]
    assert rows[2][1:] == ["61.63", "62.93 |"]
    assert f"{100 * expected('Bad', 1):.2f}" in rows[1][1]
    assert "Without" not in (tmp_path / "out/tables/table_2_fake.md").read_text()
    fused = sorted((tmp_path / "out/fused/Max").iterdir())
    assert [path.name for path in fused] == ["fake"], "both tasks share a dataset: fused once"
    assert len(list(fused[0].iterdir())) == 15
    fused_grey = cv2.imread(str(fused[0] / "test_02_000010.png"), cv2.IMREAD_UNCHANGED)
    assert set(fused_grey.ravel()) == {grey("test_02_000010", 60)}, "the infrared one is brighter"
    [cell] = (tmp_path / "out/cells/second/Max").iterdir()
    assert json.loads((cell / "result.json").read_text())["pictures"] == str(fused[0])


def test_ctrl_c_is_130_and_the_same_command_goes_on(tmp_path: Path) -> None:
    make_inputs(tmp_path)
    write_plan(tmp_path, task="settings = {pause_s = 0.1}")
    command = [sys.executable, experiment_as_command.__file__, "experiment", "run", tmp_path / "plan.toml"]
    process = subprocess.Popen(
        [*map(str, command), "-o", str(tmp_path / "out"), "--jobs", "2", "--json", "--only", "*/*/seed-0"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not calls(tmp_path)["step good 0 1"] and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    end = json.loads(out.splitlines()[-1])
    assert (end["event"], end["stopped"], end["exit_code"]) == ("end", True, 130)
    assert end["cells"] == {"running": 2}
