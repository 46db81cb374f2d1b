"""Scoring folders: what is matched, what is left out, what the table says."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fgfusion_model.inference.picture_files import survey
from fgfusion_model.metrics import METRICS, score
from fgfusion_model.scoring import (
    ScoreSettings,
    ScoreTable,
    dataset_sources,
    folder_sources,
    score_folders,
    write_scores,
    write_sheets,
)
from fgfusion_model.scoring.bootstrap import interval, resampled_means
from fgfusion_model.scoring.files import scores_json
from fgfusion_model.scoring.pictures import luminance_8_bit, match_fused, read_scored_pair
from fgfusion_model.sheet import SheetSettings, spread
from scored_folders import damage, make_folders, picture, read, write
from vircraft.errors import InputFileError, SettingsError

NAMES = ["a", "b", "c"]


def scored(root: Path, *methods: str, masks: bool = False, settings: ScoreSettings | None = None):
    sources = folder_sources(root / "infrared", root / "visible", root / "masks" if masks else None)
    return score_folders({name: root / name for name in methods}, sources, settings)


def column(table: ScoreTable, metric: str) -> int:
    return [m.name for m in table.metrics].index(metric)


def test_every_value_is_that_of_the_pictures_themselves(tmp_path: Path):
    make_folders(tmp_path, NAMES, ["ours"], masks=True)
    table = scored(tmp_path, "ours", masks=True)
    assert (table.pictures, table.methods) == (("a", "b", "c"), ("Average", "Max", "Laplacian", "ours"))
    for p, name in enumerate(NAMES):
        f, a, b, mask = (
            torch.tensor(read(tmp_path / folder / f"{name}.png"))[None, None]
            for folder in ("ours", "infrared", "visible", "masks")
        )
        expected = score(f, a, b, mask)
        average = score(((a + b) / 2).round(), a, b, mask)
        for k, metric in enumerate(table.metrics):
            assert table.values[p, 3, k] == pytest.approx(expected[metric.name].item(), abs=1e-9)
            assert table.values[p, 0, k] == pytest.approx(average[metric.name].item(), abs=1e-9)


def test_metrics_that_no_picture_has_are_not_in_the_table(tmp_path: Path):
    make_folders(tmp_path, NAMES, [])
    names = {m.name for m in scored(tmp_path).metrics}  # 64 x 48 pixels are too few for MS-SSIM
    assert names == {m.name for m in METRICS} - {"MS-SSIM", "contrast"}


def test_a_corrupt_picture_in_the_middle_is_named_and_left_out_for_all(tmp_path: Path):
    make_folders(tmp_path, NAMES, ["x", "y"])
    damage(tmp_path / "y" / "b.png")
    table = scored(tmp_path, "x", "y")
    assert table.pictures == ("a", "c")
    assert [(f.name, f.reason) for f in table.failures] == [("b", "unreadable")]
    assert str(tmp_path / "y" / "b.png") in table.failures[0].message


def test_what_is_missing_or_has_no_source_is_named(tmp_path: Path):
    make_folders(tmp_path, NAMES, ["x", "y"])
    (tmp_path / "x" / "a.png").unlink()
    (tmp_path / "y" / "c.png").rename(tmp_path / "y" / "d.png")
    (tmp_path / "y" / "notes.txt").write_text("no picture")
    table = scored(tmp_path, "x", "y")
    assert table.pictures == ("b",)
    reasons = {(f.name, f.reason) for f in table.failures}
    assert reasons == {("a", "missing-fused"), ("c", "missing-fused"), ("d", "unpaired")}


def test_sources_without_a_partner_are_named(tmp_path: Path):
    make_folders(tmp_path, NAMES, ["x"])
    (tmp_path / "visible" / "b.png").unlink()
    table = scored(tmp_path, "x")
    assert table.pictures == ("a", "c")
    assert {(f.name, f.reason) for f in table.failures} == {("b", "unpaired")}


def test_two_files_of_one_name_are_not_guessed_between(tmp_path: Path):
    make_folders(tmp_path, NAMES, ["x"])
    write(tmp_path / "x" / "b.jpg", picture(9))
    table = scored(tmp_path, "x")
    assert table.pictures == ("a", "c")
    assert [(f.name, f.reason) for f in table.failures] == [("b", "ambiguous")]


@pytest.mark.parametrize("folder", ["x", "visible", "masks"])
def test_sizes_must_agree(tmp_path: Path, folder: str):
    make_folders(tmp_path, NAMES, ["x"], masks=True)
    write(tmp_path / folder / "b.png", picture(9, (50, 48)))
    table = scored(tmp_path, "x", masks=True)
    assert table.pictures == ("a", "c")
    assert table.failures[0].reason == "size-mismatch"
    assert "50x48" in table.failures[0].message


def test_names_may_carry_the_modality(tmp_path: Path):
    make_folders(tmp_path, NAMES, ["x"])
    for kind in ("infrared", "visible"):
        for path in (tmp_path / kind).iterdir():
            path.rename(path.with_name(f"{path.stem}_{kind}.png"))
    assert scored(tmp_path, "x").pictures == ("a_infrared", "b_infrared", "c_infrared")
    for path in (tmp_path / "x").iterdir():
        path.rename(path.with_name(f"{path.stem}_infrared.png"))
    assert scored(tmp_path, "x").failures == ()


def test_a_dataset_brings_its_masks(tmp_path: Path):
    make_folders(tmp_path, NAMES, ["x"], masks=True)
    table = score_folders({"x": tmp_path / "x"}, dataset_sources(tmp_path))
    assert "contrast" in {m.name for m in table.metrics}
    (tmp_path / "masks" / "b.png").unlink()
    table = score_folders({"x": tmp_path / "x"}, dataset_sources(tmp_path))
    assert table.counts[0, column(table, "contrast")] == 2
    assert table.counts[0, column(table, "VIF")] == 3


def test_16_bit_and_colour_become_rounded_8_bit_luminance():
    colour = picture(3, channels=3)
    blue, green, red = (colour[..., c].astype(np.float64) for c in range(3))
    expected = np.rint(np.round(0.299 * red + 0.587 * green + 0.114 * blue, 6))
    assert np.array_equal(luminance_8_bit(colour), expected)
    assert np.array_equal(luminance_8_bit(colour.astype(np.uint16) * 257), expected)
    grey = picture(4)
    assert np.array_equal(luminance_8_bit(grey.astype(np.uint16) * 257), grey)
    assert luminance_8_bit(np.array([[0, 128, 129, 65535]], np.uint16)).tolist() == [[0, 0, 1, 255]]


def test_16_bit_sources_score_like_their_8_bit_twins(tmp_path: Path):
    make_folders(tmp_path, NAMES, ["x"])
    expected = scored(tmp_path, "x").values
    for folder in ("infrared", "visible", "x"):
        for path in (tmp_path / folder).iterdir():
            write(path, cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.uint16) * 257)
    np.testing.assert_allclose(scored(tmp_path, "x").values, expected, atol=1e-9)


def test_raw_16_bit_infrared_fills_the_range_as_the_fusing_job_makes_it(tmp_path: Path):
    make_folders(tmp_path, NAMES, ["x"])
    for path in (tmp_path / "infrared").iterdir():
        write(path, cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.uint16) * 20 + 3001)
    pairs, _ = match_fused(folder_sources(tmp_path / "infrared", tmp_path / "visible"), {"x": tmp_path / "x"})
    infrared = read_scored_pair(pairs[0], survey([pair.sources for pair in pairs])).infrared
    assert infrared.dtype == np.uint8
    assert infrared.max() - infrared.min() > 200


@pytest.mark.parametrize(
    ("methods", "complaint"),
    [(["nowhere"], "no such folder"), (["empty"], "named after an infrared one"), (["strange"], "a.png")],
)
def test_folders_that_hold_nothing_are_refused(tmp_path: Path, methods: list[str], complaint: str):
    make_folders(tmp_path, NAMES, [])
    (tmp_path / "empty").mkdir()
    write(tmp_path / "strange" / "q.png", picture(1))
    with pytest.raises(InputFileError, match=complaint):
        scored(tmp_path, *methods)


def test_a_job_without_any_whole_picture_says_why(tmp_path: Path):
    make_folders(tmp_path, ["a"], ["x"])
    damage(tmp_path / "x" / "a.png")
    with pytest.raises(InputFileError, match=r"no picture could be scored, 1 left out.*a\.png"):
        scored(tmp_path, "x")


def test_the_names_of_baselines_are_taken(tmp_path: Path):
    make_folders(tmp_path, NAMES, ["max"])
    with pytest.raises(SettingsError, match="--names"):
        scored(tmp_path, "max")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said(tmp_path: Path):
    make_folders(tmp_path, NAMES, ["x"])
    with pytest.raises(SettingsError, match="cuda"):
        scored(tmp_path, "x", settings=ScoreSettings(device="cuda"))


def table_of(values: np.ndarray, names: tuple[str, ...]) -> ScoreTable:
    metrics = tuple(next(m for m in METRICS if m.name == name) for name in names)
    pictures = tuple(f"p{i}" for i in range(len(values)))
    methods = tuple(f"m{i}" for i in range(values.shape[1]))
    return ScoreTable(pictures, methods, metrics, values)


def test_places_mind_which_way_is_better_and_share_equal_means():
    values = np.array([[[1.0, 0.0], [3.0, 0.0], [2.0, 0.2], [np.nan, 0.1]]])
    table = table_of(values, ("VIF", "Nabf"))
    assert table.places.tolist() == [[3, 1], [1, 1], [2, 3], [0, 2]]


def test_intervals_are_those_of_a_mean():
    rng = np.random.default_rng(5)
    values = rng.normal(10, 3, (200, 1, 1))
    low, high = interval(resampled_means(values, 4000, 1), 0.95)
    standard_error = values.std() / np.sqrt(200)
    assert low[0, 0] == pytest.approx(values.mean() - 1.96 * standard_error, abs=0.15 * standard_error)
    assert high[0, 0] == pytest.approx(values.mean() + 1.96 * standard_error, abs=0.15 * standard_error)


def test_intervals_repeat_and_leave_out_what_is_not_known():
    values = np.random.default_rng(1).normal(size=(12, 2, 3))
    values[:5, :, 1] = np.nan
    values[:11, :, 2] = np.nan
    first, again = resampled_means(values, 50, 3), resampled_means(values, 50, 3)
    np.testing.assert_array_equal(first, again)
    known = np.delete(values[:, 0, 1], range(5))
    assert known.min() <= first[:, 0, 1].min()
    assert first[:, 0, 1].max() <= known.max()
    assert np.isnan(first[:, :, 2]).all()  # one picture tells nothing of the spread


def test_a_method_a_hair_worse_on_every_picture_is_told_apart_and_noise_is_not():
    rng = np.random.default_rng(2)
    best = rng.normal(1.0, 0.5, 60)
    values = np.stack([best, best - 0.01, best + rng.normal(-0.02, 0.5, 60)], axis=1)[..., None]
    table = table_of(values, ("VIF",))
    first = int(np.argmax(table.means))
    level = table.level_with_best[:, 0]
    assert level[first]
    if first == 0:
        assert level.tolist() == [True, False, True]


def test_infinite_values_have_no_interval():
    values = np.array([[[np.inf]], [[40.0]], [[41.0]]])
    table = table_of(values, ("PSNR",))
    assert table.means[0, 0] == np.inf
    assert np.isnan(table.intervals[0][0, 0])
    assert scores_json(table)["methods"]["m0"]["PSNR"]["mean"] is None


def test_csv_and_markdown_hold_the_table(tmp_path: Path):
    make_folders(tmp_path, NAMES, ["x", "y"], masks=True)
    (tmp_path / "y" / "c.png").unlink()
    table = scored(tmp_path, "x", "y", masks=True)
    csv_path, markdown_path = write_scores(table, tmp_path / "out")
    rows = list(csv.DictReader(csv_path.read_text().splitlines()))
    assert [(r["picture"], r["method"]) for r in rows] == [(p, m) for p in "ab" for m in table.methods]
    for row, values in zip(rows, table.values.reshape(-1, len(table.metrics)), strict=True):
        for metric, value in zip(table.metrics, values, strict=True):
            assert float(row[metric.name]) == pytest.approx(value, abs=1e-6)
    text = markdown_path.read_text()
    best = table.means[:, column(table, "VIF")].max()
    assert f"**{best:.3f}**" in text
    assert "[missing-fused]" in text
    assert "95%" in text


def test_a_sheet_shows_sources_and_all_methods(tmp_path: Path):
    make_folders(tmp_path, [f"p{i}" for i in range(7)], ["x"])
    sources = folder_sources(tmp_path / "infrared", tmp_path / "visible")
    methods = {"x": tmp_path / "x"}
    table = score_folders(methods, sources)
    settings = SheetSettings(pairs=5, rows=3, cell_width_px=128)
    paths = write_sheets(table, methods, sources, tmp_path / "out", settings)
    assert [path.name for path in paths] == ["sheet_01.png", "sheet_02.png"]
    first, last = (cv2.imread(str(path)) for path in paths)
    assert first.shape[1] == last.shape[1] == 4 + 6 * (128 + 4)
    cell = cv2.resize(cv2.imread(str(tmp_path / "infrared" / "p0.png")), (128, 96))
    np.testing.assert_array_equal(first[40 : 40 + 96, 4 : 4 + 128], cell)


def test_rows_are_spread_from_the_first_to_the_last():
    assert spread(3, 20) == [0, 1, 2]
    assert spread(100, 5) == [0, 25, 50, 74, 99]
    assert spread(100, 1) == [0]
