"""Plans: what they may say, and what is refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiment_inputs import KINDS, make_inputs, write_plan
from fgfusion_model.experiments.cells import pictures_of, plan_cells
from fgfusion_model.experiments.inputs import HashFile, hash_named_files
from fgfusion_model.experiments.paper_figures import FIGURES, published
from fgfusion_model.experiments.plan import TaskPlan, load_plan, save_plan, saved_plan
from fgfusion_model.experiments.plan_texts import PLANS
from vircraft.errors import DatasetError, SettingsError

SECOND = '[[task]]\nname = "second"\nkind = "other"\ndata = "d"'


def refused(root: Path, words: str, **parts: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load_plan(write_plan(root, **parts), KINDS)


def test_folders_are_taken_from_the_plans_own(tmp_path: Path) -> None:
    plan = load_plan(make_inputs(tmp_path), KINDS)
    assert plan.method[0].pictures == "visible"
    assert plan.method[1].pictures == str(tmp_path / "fused/good")
    assert plan.task[0].data == tmp_path / "dataset"


def test_a_plan_survives_its_experiments_folder(tmp_path: Path) -> None:
    methods = '[[method]]\nname="A b"\npictures={fake="fused/good"}\n[[ablation]]\nname="x"\nweights="lite"'
    plan = load_plan(write_plan(tmp_path, methods=methods, task="settings={fit={steps=3}}"), KINDS)
    save_plan(plan, tmp_path)
    assert saved_plan(tmp_path) == plan


def test_a_cell_is_a_task_a_method_and_a_seed_and_seeds_come_first(tmp_path: Path) -> None:
    methods = '[[ablation]]\nname="Less"\npictures="fused/bad"\nseeds=[0]'
    plan = load_plan(write_plan(tmp_path, methods=methods), KINDS)
    names = [cell.name for cell in plan_cells(plan, tmp_path)]
    assert names == [
        *("fake/Visible/seed-0", "fake/Good/seed-0", "fake/Bad/seed-0", "fake/Less/seed-0"),
        *("fake/Visible/seed-1", "fake/Good/seed-1", "fake/Bad/seed-1"),
    ]
    assert [c.name for c in plan_cells(plan, tmp_path, ["*/Bad"])] == ["fake/Bad/seed-0", "fake/Bad/seed-1"]
    some = plan_cells(plan, tmp_path, ["fake/Less", "*/*/seed-1"])
    assert [c.name for c in some] == [names[3], *names[4:]], "a cell of any of them, each once"
    with pytest.raises(SettingsError, match="no cell is 'fake/Worse'"):
        plan_cells(plan, tmp_path, ["fake/Bad", "fake/Worse"])


def test_pictures_may_differ_by_task(tmp_path: Path) -> None:
    methods = '[[method]]\nname="A"\npictures="fused/A/{task}"\n[[method]]\nname="B"\npictures={fake="b"}'
    plan = load_plan(write_plan(tmp_path, methods=methods), KINDS)
    assert plan.method[3].pictures_of("fake") == str(tmp_path / "fused/A/fake")
    assert plan.method[4].pictures_of("fake") == str(tmp_path / "b")


@pytest.mark.parametrize(
    ("part", "text", "words"),
    [
        ("head", "seed = 3", "unknown key 'seed'; did you mean 'seeds'"),
        ("head", "seeds = [1, 1]", "different numbers"),
        ("methods", '[[method]]\nname = "Bad"\npictures = "visible"', "method 'Bad' stands twice"),
        ("methods", '[[ablation]]\nname = "bad"\npictures = "visible"', "stands twice as 'Bad'"),
        ("methods", '[[method]]\nname = "C"', "has 0 of pictures, baseline and weights"),
        ("methods", '[[method]]\nname = "C"\nbaseline = "Mean"', "'Mean' is not known; known are Av"),
        ("methods", '[[method]]\nname = "C"\npictures = {other = "c"}', "'other' is not known; known are f"),
        ("methods", f'[[method]]\nname = "C"\npictures = {{second = "c"}}\n{SECOND}', "no pictures for"),
        ("methods", '[[method]]\nname = "C"\npictures = "c"\ntasks = []', "tasks of method 'C' are none"),
        ("task", "methods = []", "methods of task 'fake' are none"),
        ("task", "table = 7", "table of task 'fake' is 7; it is 2, 3, 4, or 0"),
        ("task", 'test = "train"', "trained and judged on 'train'"),
        ("methods", '[[method]]\nname = "C"\npictures = "c"\ntasks = ["x"]', "'x' is not known"),
        ("methods", '[[method]]\npictures = "c"', "a method has no name"),
        ("methods", '[[task]]\nname = "t"\nkind = "fake"', "task 't' has no data"),
        ("task", 'methods = ["Worse"]', "'Worse' is not known; known are Visible, Good, Bad"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_plan_is_named(part: str, text: str, words: str, tmp_path: Path) -> None:
    if text.startswith("seeds"):
        path = write_plan(tmp_path)
        path.write_text(path.read_text().replace("seeds = [0, 1]", text))
        with pytest.raises(SettingsError, match=words):
            load_plan(path, KINDS)
    else:
        refused(tmp_path, words, **{part: text})


def test_a_plan_without_methods_or_tasks_is_refused_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text('name = "empty"\n')
    with pytest.raises(SettingsError, match=r"needs at least one \[\[method\]\] and one \[\[task\]\]"):
        load_plan(tmp_path / "plan.toml", KINDS)


def test_two_ways_to_write_a_dataset_are_one(tmp_path: Path) -> None:
    make_inputs(tmp_path)
    again = '[[task]]\nname="second"\nkind="other"\ndata="fused/../dataset"'
    methods = '[[method]]\nname="Mean"\nbaseline="Average"'
    plan = load_plan(write_plan(tmp_path, task=again, methods=methods), KINDS)
    folders = {pictures_of(plan, tmp_path, plan.method[3], task) for task in plan.task}
    assert folders == {str(tmp_path / "fused/Mean/fake")}, "it is fused once"


def test_an_unknown_kind_of_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'fake' is not known; known are keypoints, segmentation"):
        load_plan(write_plan(tmp_path))


@pytest.mark.parametrize("name", PLANS)
def test_a_printed_plan_is_one(name: str, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLANS[name])
    plan = load_plan(tmp_path / "plan.toml")
    if name == "paper":
        assert {m.name.lower() for m in plan.method} >= {row.lower() for row in FIGURES[2]}
        assert len(plan_cells(plan, tmp_path)) == (10 + 4) * 3 * 3


def test_the_papers_figures_are_those_of_its_tables() -> None:
    assert published(2, "FGFusion", "mAP[50,95]") == pytest.approx(0.6618)
    assert published(3, "tardal", "IoU colour cone") == pytest.approx(0.2641)
    assert published(4, "Infrared", "AP50") == pytest.approx(0.779)
    assert published(5, "without mask weight", "3") == pytest.approx(0.5884)
    assert published(5, "FGFusion", "4") == published(4, "FGFusion", "mAP[50,95]")
    assert published(2, "Max", "AP75") is None
    for row in FIGURES[3].values():  # the last column is the mean of the others, as printed to two places
        classes = [value for score, value in row.items() if score != "mIoU"]
        assert row["mIoU"] == pytest.approx(sum(classes) / 9, abs=0.02)


@pytest.mark.parametrize(
    ("kind", "text", "wrong"),
    [
        ("keypoints", 'scores = ["AP75", "share[OKS>0.80]", "share*"]\nmain = "PCK[0.05]"', ""),
        ("segmentation", 'scores = ["IoU *", "IoU car"]\nmain = "IoU person"', ""),
        ("detection", 'scores = ["AP50*"]\nmain = "AP50 car"', ""),
        ("keypoints", 'scores = ["AP57"]', "AP57"),
        ("segmentation", 'main = "miou"', "miou"),
        ("detection", 'main = "AP*"', "AP"),
    ],
)  # fmt: skip
def test_scores_that_a_kind_of_task_cannot_give_are_refused(
    kind: str, text: str, wrong: str, tmp_path: Path
) -> None:
    path = write_plan(tmp_path, task=text)
    path.write_text(path.read_text().replace('kind = "fake"', f'kind = "{kind}"'))
    if not wrong:
        load_plan(path)
        return
    with pytest.raises(SettingsError, match=f"no {kind} task has the score '{wrong}"):
        load_plan(path)


def test_first_weights_are_taken_from_the_plans_folder_and_their_content_counts(tmp_path: Path) -> None:
    path = write_plan(tmp_path, task='settings = {init = "w.safetensors", yolo = {model = "y.pt"}}')
    hashes = HashFile(tmp_path / "hashes.json")
    with pytest.raises(DatasetError, match=r"w.safetensors: no such weights; 'init' of task 'fake'"):
        hash_named_files(load_plan(path, KINDS).task[0], hashes)
    (tmp_path / "w.safetensors").write_bytes(b"one")
    [task] = load_plan(path, KINDS).task
    assert task.settings["init"] == str(tmp_path / "w.safetensors")
    assert task.settings["yolo"]["model"] == "y.pt", "no file here: a name that the program knows"
    before = hash_named_files(task, hashes)
    (tmp_path / "w.safetensors").write_bytes(b"other")
    (tmp_path / "y.pt").write_bytes(b"yolo")
    after = hash_named_files(load_plan(path, KINDS).task[0], hashes)
    assert before.keys() == {"init"}
    assert after.keys() == {"init", "yolo.model"}
    assert before["init"] != after["init"]
    assert not hash_named_files(TaskPlan("t", "fake", tmp_path, settings={"init": "imagenet"}), hashes)


def test_a_table_of_pixels_is_refused() -> None:
    with pytest.raises(SettingsError, match="tables rank shares"):
        TaskPlan("keypoints", "keypoints", Path("data"), main="median error px")
