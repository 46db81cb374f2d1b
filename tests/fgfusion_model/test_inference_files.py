"""Folders and datasets of pictures: what pairs up, what is kept, what fails without stopping the rest."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fgfusion_model.inference.fused_files import read_made_by, write_fused
from fgfusion_model.inference.fuser import Fuser, InferenceSettings
from fgfusion_model.inference.grey_levels import GreyLevels, infrared_levels, parse_levels, visible_levels
from fgfusion_model.inference.job import FuseSummary, FusingJob, fuse_files
from fgfusion_model.inference.picture_files import survey
from fgfusion_model.inference.picture_pairs import (
    FoundPictures,
    find_dataset_pairs,
    match_folders,
    pair_files,
)
from fgfusion_model.network import FGFusion
from fuse_inputs import infrared, luma, mean_network, random_network, read, visible, write_pairs
from labelled import make_dataset
from records import clip_record, pair
from vircraft.errors import DatasetError, InputFileError, SettingsError
from vircraft.journal import encode
from vircraft.palettes import palette_table

NAMES = ["a", "b", "c", "d"]


def fuse(found: FoundPictures, out: Path, model: FGFusion | None = None, **options: object) -> FuseSummary:
    levels = options.pop("levels", None)
    batch = options.pop("batch", 0)
    job = FusingJob(out, survey(found.pairs, levels), **options)  # type: ignore[arg-type]
    return fuse_files(found, job, Fuser(model or mean_network(), InferenceSettings("cpu", batch=batch)))  # type: ignore[arg-type]


def test_every_pair_of_two_folders_gives_the_mean_of_an_untrained_network(tmp_path: Path):
    ir, vi = write_pairs(tmp_path, NAMES)
    summary = fuse(match_folders(ir, vi), tmp_path / "out", foreground=True)
    assert (summary.made, summary.kept, summary.failures) == (4, 0, [])
    for name in NAMES:
        fused = read(tmp_path / "out" / f"{name}.png")
        wanted = (luma(read(ir / f"{name}.png")) + luma(read(vi / f"{name}.png"))) / 2
        assert np.abs(luma(fused) - wanted).max() < 1.1
        assert read(tmp_path / "out" / "foreground" / f"{name}.png").shape == fused.shape[:2]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        *(f"{n}.png" for n in NAMES),
        "foreground",
    ]


@pytest.mark.parametrize("batch", [1, 3])
def test_batches_and_sizes_that_change_midway_do_not_mix_pictures_up(tmp_path: Path, batch: int):
    ir, vi = write_pairs(tmp_path, NAMES)
    for folder, picture in ((ir, infrared((64, 33))), (vi, visible((64, 33)))):
        cv2.imwrite(str(folder / "b.png"), picture)
    fuse(match_folders(ir, vi), tmp_path / "out", batch=batch)
    for name in NAMES:
        wanted = (luma(read(ir / f"{name}.png")) + luma(read(vi / f"{name}.png"))) / 2
        assert np.abs(luma(read(tmp_path / "out" / f"{name}.png")) - wanted).max() < 1.1


def test_a_bad_pair_stops_no_other(tmp_path: Path):
    ir, vi = write_pairs(tmp_path, [*NAMES, "e", "f"])
    whole = (vi / "b.png").read_bytes()
    (vi / "b.png").write_bytes(whole[: len(whole) // 2])
    cv2.imwrite(str(ir / "c.png"), infrared((50, 40)))
    (ir / "d.png").write_bytes(b"")
    for folder in (ir, vi):
        cv2.imwrite(str(folder / "e.png"), infrared((31, 40)))
    summary = fuse(match_folders(ir, vi), tmp_path / "out")
    assert summary.made == 2
    reasons = {failure.name: failure.reason for failure in summary.failures}
    assert reasons == {"b": "unreadable", "c": "size-mismatch", "d": "unreadable", "e": "too-small"}
    messages = {failure.name: failure.message for failure in summary.failures}
    assert "50x40" in messages["c"]
    assert "48x40" in messages["c"]
    assert str(vi / "b.png") in messages["b"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.png", "f.png"]


def test_names_without_a_partner_are_named_and_words_for_the_modality_may_differ(tmp_path: Path):
    ir, vi = write_pairs(tmp_path, ["x_ir", "only"])
    (vi / "x_ir.png").rename(vi / "x_visible.png")
    (vi / "only.png").rename(vi / "other.png")
    (ir / "notes.txt").write_text("no picture")
    found = match_folders(ir, vi)
    assert [(p.name, p.visible.name) for p in found.pairs] == [("x_ir", "x_visible.png")]
    assert {(f.name, f.reason) for f in found.failures} == {("only", "unpaired"), ("other", "unpaired")}


def test_one_folder_may_hold_both_modalities(tmp_path: Path):
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / f"{name}_infrared.jpg"), infrared())
        cv2.imwrite(str(tmp_path / f"{name}_visible.jpg"), visible())
    found = match_folders(tmp_path, tmp_path)
    assert [p.name for p in found.pairs] == ["a_infrared", "b_infrared"]
    assert found.failures == ()


def test_two_files_of_one_name_are_ambiguous(tmp_path: Path):
    ir, vi = write_pairs(tmp_path, ["a", "b"])
    cv2.imwrite(str(vi / "a.jpg"), visible())
    found = match_folders(ir, vi)
    assert [p.name for p in found.pairs] == ["b"]
    assert [(f.name, f.reason) for f in found.failures] == [("a", "ambiguous")]


def test_what_is_there_is_kept_to_the_byte_and_only_force_makes_it_again(tmp_path: Path):
    ir, vi = write_pairs(tmp_path, NAMES)
    out = tmp_path / "out"
    fuse(match_folders(ir, vi), out)
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in out.iterdir()}
    (out / "c.png").unlink()
    (out / ".d.png.tmp").write_bytes(b"half")  # what a killed job leaves
    summary = fuse(match_folders(ir, vi), out)
    assert (summary.made, summary.kept, summary.other) == (1, 3, 0)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == {n: b for n, (b, _) in before.items()}
    assert (out / "a.png").stat().st_mtime_ns == before["a.png"][1]

    summary = fuse(match_folders(ir, vi), out, random_network())
    assert (summary.made, summary.kept, summary.other) == (0, 0, 4)
    assert (out / "a.png").read_bytes() == before["a.png"][0]
    summary = fuse(match_folders(ir, vi), out, random_network(), force=True)
    assert summary.made == 4
    assert (out / "a.png").read_bytes() != before["a.png"][0]


def test_an_input_that_changed_since_is_said(tmp_path: Path):
    ir, vi = write_pairs(tmp_path, ["a", "b"])
    fuse(match_folders(ir, vi), tmp_path / "out")
    later = (tmp_path / "out" / "a.png").stat().st_mtime + 5
    os.utime(vi / "a.png", (later, later))
    summary = fuse(match_folders(ir, vi), tmp_path / "out")
    assert (summary.made, summary.kept, summary.other) == (0, 1, 1)


def test_the_note_of_what_made_a_picture_leaves_a_png_that_others_read(tmp_path: Path):
    picture = visible()
    write_fused(tmp_path / "a.png", picture, "0123abcd")
    assert read_made_by(tmp_path / "a.png") == "0123abcd"
    assert (read(tmp_path / "a.png") == picture).all()
    from PIL import Image

    with Image.open(tmp_path / "a.png") as image:
        image.verify()
    with Image.open(tmp_path / "a.png") as image:
        assert (np.asarray(image)[..., ::-1] == picture).all()
        assert image.info == {"vircraft-fused": "0123abcd"}
    cv2.imwrite(str(tmp_path / "b.png"), picture)
    assert read_made_by(tmp_path / "b.png") == ""


def test_inputs_are_never_replaced(tmp_path: Path):
    ir, vi = write_pairs(tmp_path, ["a"])
    for out in (ir, vi):
        with pytest.raises(DatasetError, match="folder of their own"):
            fuse(match_folders(ir, vi), out, force=True)
    with pytest.raises(DatasetError, match="is a file"):
        fuse(match_folders(ir, vi), ir / "a.png")


def test_the_registered_pairs_of_a_dataset_are_fused_and_rejected_ones_left_out(tmp_path: Path):
    root = make_dataset(tmp_path / "dataset", {"a_000000": [], "a_000010": [], "a_000020": []})
    records = [
        clip_record(),
        pair(0),
        pair(10, verdict="rejected", h_ir_from_vis=None, predicted_error_px=None),
        pair(20, verdict="coarse_only"),
        pair(30),
    ]
    (root / "journal").mkdir()
    (root / "journal" / "a.jsonl").write_bytes(b"".join(map(encode, records)))
    summary = fuse(find_dataset_pairs(root), tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a_000000.png", "a_000020.png"]
    assert [(f.name, f.reason) for f in summary.failures] == [("a_000030", "missing")]


def test_a_folder_with_a_folder_for_each_modality_will_do(tmp_path: Path):
    write_pairs(tmp_path, ["a"])
    assert [p.name for p in find_dataset_pairs(tmp_path).pairs] == ["a"]


@pytest.mark.parametrize("what", ["nothing", "empty"])
def test_a_folder_that_holds_no_pair_says_what_to_do(tmp_path: Path, what: str):
    if what == "empty":
        (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="--infrared"):
        find_dataset_pairs(tmp_path / what)


def test_folders_and_files_that_are_not_there_are_named(tmp_path: Path):
    ir, _ = write_pairs(tmp_path, ["a"])
    with pytest.raises(InputFileError, match="gone"):
        match_folders(ir, tmp_path / "gone")
    with pytest.raises(InputFileError, match=r"gone\.png"):
        pair_files(ir / "a.png", tmp_path / "gone.png")
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"")
    with pytest.raises(InputFileError, match="name two files"):
        match_folders(tmp_path / "videos", ir)


def counts(low: float, high: float, seed: int = 0) -> np.ndarray:
    """Return raw counts between two values."""
    return (low + infrared(seed=seed) / 255.0 * (high - low)).astype(np.uint16)


def test_raw_counts_share_one_stretch_so_that_a_clip_does_not_flicker(tmp_path: Path):
    ir, vi = write_pairs(tmp_path, NAMES)
    flat = np.full((40, 48), 7600, np.uint16)
    for seed, name in enumerate(NAMES):
        picture = counts(7000, 9000, seed)
        picture[:8, :8] = flat[:8, :8]  # the same thing in every frame
        cv2.imwrite(str(ir / f"{name}.png"), picture)
        cv2.imwrite(str(vi / f"{name}.png"), np.full((40, 48), 128, np.uint8))
    fuse(match_folders(ir, vi), tmp_path / "out")
    fused = [read(tmp_path / "out" / f"{name}.png") for name in NAMES]
    assert np.ptp([picture[4, 4] for picture in fused]) == 0
    assert all(np.ptp(picture) > 80 for picture in fused)  # half of the range, by the mean with grey


@pytest.mark.parametrize(
    ("samples", "low", "high"),
    [
        ([infrared().astype(np.uint16) * 257], 0, 65535),  # 8 bits widened
        ([infrared().astype(np.uint16) << 8], 0, 65535),
        ([counts(1000, 60000)], 0, 65535),  # scaled by someone
        ([], 0, 65535),
        ([infrared()], 0, 65535),
    ],
)
def test_pictures_that_use_their_range_are_taken_at_full_scale(samples: list, low: float, high: float):
    assert infrared_levels(samples) == GreyLevels(low, high)


@pytest.mark.parametrize("span", [(7000, 9000), (29000, 33000), (0, 4095), (500, 16000)])
def test_raw_counts_are_stretched_over_what_they_use(span: tuple[int, int]):
    samples = [counts(*span, seed) for seed in range(4)]
    samples[0][0, 0] = 65534  # a dead pixel must not decide
    levels = infrared_levels(samples)
    values = np.concatenate([s.ravel() for s in samples])
    assert levels.low == pytest.approx(np.percentile(values, 0.1))
    assert levels.high == pytest.approx(np.percentile(values, 99.9))


def test_a_constant_picture_has_levels_too():
    levels = infrared_levels([np.full((40, 48), 7301, np.uint16)])
    assert 0.4 < levels.unit(np.full((1, 1), 7301, np.uint16))[0, 0] < 0.6


@pytest.mark.parametrize(("brightest", "full"), [(1000, 1023), (4000, 4095), (16000, 16383), (40000, 65535)])
def test_visible_counts_are_taken_at_the_scale_of_their_bits(brightest: int, full: int):
    picture = np.full((40, 48, 3), brightest - 1, np.uint16)
    picture[0, 0, 0] = brightest
    assert visible_levels([picture]) == GreyLevels(0, full)


def test_the_users_range_counts(tmp_path: Path):
    assert parse_levels("full") == GreyLevels()
    assert parse_levels("7000,9000") == GreyLevels(7000, 9000)
    for wrong in ("7000", "9,7", "a,b", "0,70000"):
        with pytest.raises(SettingsError):
            parse_levels(wrong)
    ir, vi = write_pairs(tmp_path, ["a"])
    cv2.imwrite(str(ir / "a.png"), np.full((40, 48), 8000, np.uint16))
    cv2.imwrite(str(vi / "a.png"), np.full((40, 48), 100, np.uint8))
    fuse(match_folders(ir, vi), tmp_path / "out", levels=GreyLevels(7000, 9000))
    assert abs(int(read(tmp_path / "out" / "a.png")[0, 0]) - 114) <= 1  # (127.5 + 100) / 2


def test_16_bit_colour_comes_out_as_8_bit_colour(tmp_path: Path):
    ir, vi = write_pairs(tmp_path, ["a"])
    fuse(match_folders(ir, vi), tmp_path / "eight")
    cv2.imwrite(str(vi / "a.png"), visible(seed=100).astype(np.uint16) * 257)
    fuse(match_folders(ir, vi), tmp_path / "sixteen")
    eight, sixteen = (read(tmp_path / kind / "a.png").astype(int) for kind in ("eight", "sixteen"))
    assert np.abs(eight - sixteen).max() <= 1


def test_false_colour_of_infrared_is_undone(tmp_path: Path):
    ir, vi = write_pairs(tmp_path, NAMES, (96, 80))
    fuse(match_folders(ir, vi), tmp_path / "grey")
    for name in NAMES:
        painted = palette_table("inferno")[read(ir / f"{name}.png")]
        cv2.imwrite(str(ir / f"{name}.png"), painted)
    found = match_folders(ir, vi)
    assert survey(found.pairs).palette == "inferno"
    fuse(found, tmp_path / "painted")
    for name in NAMES:
        grey, painted = (read(tmp_path / kind / f"{name}.png").astype(int) for kind in ("grey", "painted"))
        assert np.abs(grey - painted).mean() < 3


def test_grey_stored_in_three_channels_is_grey(tmp_path: Path):
    ir, vi = write_pairs(tmp_path, ["a"])
    for folder in (ir, vi):
        picture = read(folder / "a.png")
        grey = picture if picture.ndim == 2 else picture[..., 1]
        cv2.imwrite(str(folder / "a.png"), np.repeat(grey[..., None], 3, 2))
    fuse(match_folders(ir, vi), tmp_path / "out")
    assert read(tmp_path / "out" / "a.png").ndim == 2


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".bmp", ".webp", ".pgm"])
def test_other_formats_are_read(tmp_path: Path, suffix: str):
    ir, vi = write_pairs(tmp_path, ["a"])
    cv2.imwrite(str(ir / f"a{suffix}"), read(ir / "a.png"))
    (ir / "a.png").unlink()
    assert fuse(match_folders(ir, vi), tmp_path / "out").made == 1


def test_a_full_disk_stops_the_job_with_what_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ir, vi = write_pairs(tmp_path, NAMES)
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if "c.png" in self.name:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DatasetError, match="No space left"):
        fuse(match_folders(ir, vi), tmp_path / "out")
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names[:2] == ["a.png", "b.png"]
    assert not any(name.endswith(".tmp") for name in names)
