"""The report's pages: complete, ordered, escaped, and free of anything that is not in the folder."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

from report_dataset import INFRARED_WH, build, clip_record, true_pose
from vircraft.annotation.labelme import LabelFile, Shape, write_labels
from vircraft.dataset import journal_path, label_path, picture_path
from vircraft.errors import DatasetError
from vircraft.journal import FailureRecord, PairRecord, encode, pair_record, read_journal
from vircraft.registration.result import Registration
from vircraft.report import write_report
from vircraft.report.model import PairView, page_stem
from vircraft.report.pages import pose

HOSTILE = '<script>alert("x")</script>&\'"'


class Page(HTMLParser):
    """Collects what a page refers to, and its elements."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.references: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append((tag, values))
        self.references += [values[k] for k in ("src", "href") if values.get(k)]
        self.references += [
            values[k] for k in ("data-infrared", "data-visible", "data-edges") if values.get(k)
        ]

    def handle_data(self, data):
        self.text += data

    def pairs(self) -> list[dict[str, str | None]]:
        return [values for tag, values in self.tags if tag == "article"]


def pages(root: Path) -> dict[str, Page]:
    report = root / "report"
    return {p.relative_to(report).as_posix(): Page(p) for p in report.rglob("*.html")}


def broken_references(root: Path) -> list[str]:
    """References that are not relative or lead nowhere."""
    bad = []
    for name, page in pages(root).items():
        folder = (root / "report" / name).parent
        for reference in page.references:
            parts = urlsplit(reference)
            if reference == "data:," or (not parts.path and parts.fragment):
                continue
            target = (folder / unquote(parts.path)).resolve()
            if (
                parts.scheme
                or parts.netloc
                or not target.is_file()
                or not target.is_relative_to(root.resolve())
            ):
                bad.append(f"{name}: {reference}")
    return bad


def test_every_picture_and_page_it_refers_to_is_there(make_dataset):
    root = make_dataset({"day": ["accepted", "rejected", "coarse_only"], "night": ["accepted"]})
    assert write_report(root) == root / "report" / "index.html"
    assert set(pages(root)) == {"index.html", "clips/day.html", "clips/night.html"}
    assert broken_references(root) == []


def test_a_moved_dataset_keeps_its_report(make_dataset, tmp_path: Path):
    write_report(make_dataset())
    moved = tmp_path / "elsewhere" / "moved"
    moved.parent.mkdir()
    shutil.move(tmp_path / "dataset", moved)
    assert broken_references(moved) == []
    assert not any(str(tmp_path) in page.source for page in pages(moved).values())


def test_nothing_is_fetched_from_the_network(make_dataset):
    root = make_dataset()
    write_report(root)
    for path in (root / "report").rglob("*"):
        if path.suffix in (".html", ".css", ".js"):
            assert not re.search(r"https?:|//[a-z]+\.", path.read_text(encoding="utf-8")), path


def test_doubtful_pairs_come_first(make_dataset):
    root = make_dataset({"a": ["accepted", "accepted", "rejected", "coarse_only", "accepted"]})
    write_report(root)
    order = [p["data-id"] for p in pages(root)["clips/a.html"].pairs()]
    # rejected, then by falling predicted error, which grows with the tick in this dataset
    assert order == ["a_000020", "a_000040", "a_000030", "a_000010", "a_000000"]


def test_each_pair_shows_infrared_visible_and_edges(make_dataset):
    root = make_dataset()
    write_report(root)
    for pair in pages(root)["clips/approach.html"].pairs():
        assert pair["data-infrared"]
        assert pair["data-visible"]
        assert bool(pair["data-edges"]) == (pair["data-verdict"] != "rejected")


def test_16_bit_infrared_is_shown_by_its_8_bit_copy(make_dataset):
    root = make_dataset({"a": ["accepted"]}, bits=16)
    write_report(root)
    (pair,) = pages(root)["clips/a.html"].pairs()
    assert pair["data-infrared"] == "../media/a_000000_infrared.jpg"


def test_counts_and_reasons_are_told(make_dataset):
    failure = FailureRecord(
        "broken", "truncated", "broken.mp4: ends after 3 s; copy it again", "broken.mp4", 75
    )
    root = make_dataset({"a": ["accepted", "rejected", "rejected"]}, [failure])
    write_report(root)
    text = " ".join(pages(root)["index.html"].text.split())
    assert "low-score" in text
    assert "67 %" in text
    assert "broken.mp4: ends after 3 s; copy it" in text
    assert "truncated" in text
    assert re.search(r"no infrared frame within half a frame of the tick ?2", text)


def test_the_clip_page_tells_how_the_offset_was_found(make_dataset):
    root = make_dataset()
    write_report(root)
    page = pages(root)["clips/approach.html"]
    text = " ".join(page.text.split())
    assert "Infrared frame 0 shows the instant of visible frame 3.00" in text
    assert "very sure" in text
    assert "3 frames lost" in text
    assert 'class="curve"' in page.source
    assert "0.120 s = 3.00 frames" in text


def test_hostile_names_and_messages_are_escaped(tmp_path: Path):
    def record_of(name: str):
        record = clip_record(HOSTILE)
        record.sync["remarks"] = [{"code": "x", "message": HOSTILE, "path": None}]
        record.sync["source"] = HOSTILE
        record.probe["infrared"]["codec"] = HOSTILE
        return record

    failure = FailureRecord(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    root = build(tmp_path / "dataset", {"a": ["accepted"]}, [failure], record_of=record_of)
    write_report(root)
    for name, page in pages(root).items():
        scripts = [values for tag, values in page.tags if tag == "script"]
        assert len(scripts) == 1, name
        assert HOSTILE in page.text, name
        assert "<script>alert" not in page.source, name
    assert broken_references(root) == []


@pytest.mark.parametrize("name", ["a b", "50%", "a#b", "a?b=c", "ä", "..", "a/b", HOSTILE, "x" * 300, ""])
def test_a_clip_page_has_a_harmless_file_name(name: str):
    stem = page_stem(name)
    assert re.fullmatch(r"[A-Za-z0-9._-]+", stem)
    assert stem.strip(".")
    assert len(stem) < 150
    assert page_stem(name) != page_stem(name + "x")


def test_a_dataset_without_pairs_says_so(make_dataset):
    root = make_dataset({})
    write_report(root)
    assert "No pair yet" in pages(root)["index.html"].text


def test_a_clip_without_pairs_or_curve_is_shown(make_dataset):
    def record_of(name: str):
        return clip_record(name, sync={}, probe={}, plan={})

    root = make_dataset({"a": []}, record_of=record_of)
    write_report(root)
    text = " ".join(pages(root)["clips/a.html"].text.split())
    assert "This clip gave no pair" in text
    assert "No correlation curve" in text


def test_missing_pictures_leave_a_place_and_no_broken_link(make_dataset, capfd: pytest.CaptureFixture[str]):
    root = make_dataset({"a": ["accepted", "rejected", "accepted"]}, media=False)
    picture_path(root, "visible", "a_000000").unlink()
    picture_path(root, "visible", "a_000020").write_bytes(b"")
    write_report(root)
    assert capfd.readouterr() == ("", "")  # a library prints nothing, nor does OpenCV
    assert broken_references(root) == []
    assert "picture not kept" in pages(root)["clips/a.html"].text


def test_a_lost_report_is_made_again_from_the_dataset(make_dataset):
    root = make_dataset({"a": ["accepted"]}, bits=16)
    write_report(root)
    shutil.rmtree(root / "report")
    write_report(root)
    assert {p.name for p in (root / "report" / "media").iterdir()} == {
        "a_000000_edges.jpg",
        "a_000000_infrared.jpg",
    }
    assert broken_references(root) == []


def test_what_no_longer_belongs_to_the_dataset_is_removed(make_dataset):
    root = make_dataset({"a": ["accepted"], "b": ["accepted"]})
    write_report(root)
    journal_path(root, "b").unlink()
    write_report(root)
    assert set(pages(root)) == {"index.html", "clips/a.html"}
    assert {p.name for p in (root / "report" / "media").iterdir()} == {"a_000000_edges.jpg"}


def test_a_damaged_journal_is_one_failure_and_costs_nothing_else(make_dataset):
    root = make_dataset({"a": ["accepted"], "b": ["accepted"]})
    lines = journal_path(root, "b").read_bytes().splitlines(keepends=True)
    journal_path(root, "b").write_bytes(b"rubbish\n" + b"".join(lines[1:]))
    write_report(root)
    text = pages(root)["index.html"].text
    assert "damaged-journal" in text
    assert "a_000000" in text
    assert (root / "report" / "media" / "b_000000_edges.jpg").is_file()  # nothing is thrown away


def test_a_job_that_was_killed_is_called_unfinished(make_dataset):
    root = make_dataset({"a": ["accepted"]})
    lines = journal_path(root, "a").read_bytes().splitlines(keepends=True)
    journal_path(root, "a").write_bytes(b"".join(lines[:-1]) + b'{"type": "pa')
    write_report(root)
    assert "unfinished" in pages(root)["index.html"].text


def test_the_same_dataset_gives_the_same_pages(make_dataset):
    root = make_dataset()
    write_report(root)
    first = {p: p.read_bytes() for p in (root / "report").rglob("*.html")}
    write_report(root)
    assert {p: p.read_bytes() for p in (root / "report").rglob("*.html")} == first


def test_a_folder_that_is_no_dataset_is_an_error(tmp_path: Path):
    with pytest.raises(DatasetError, match=r"no vircraft dataset"):
        write_report(tmp_path)


def pair_view(h: np.ndarray) -> PairView:
    frames = {
        **dict.fromkeys(("id", "clip", "inputs_hash", "settings_hash"), "a"),
        **dict.fromkeys(("tick", "infrared_index", "visible_index", "infrared_time_s", "visible_time_s"), 0),
        "infrared_wh": INFRARED_WH,
        "visible_wh": (320, 180),
        "sync": {},
    }
    return PairView(pair_record(frames, Registration("fine", h, 1.0)))


@pytest.mark.parametrize(("scale", "degrees", "centre"), [(1.0, 0.0, (160, 90)), (0.4, -3.0, (100.5, 70))])
def test_the_pose_is_scale_rotation_and_the_point_at_the_centre(scale, degrees, centre):
    angle = np.radians(degrees)
    h = np.eye(3)
    h[:2, :2] = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    h[:2, 2] = np.array([(n - 1) / 2 for n in INFRARED_WH]) - h[:2, :2] @ centre
    assert pose(pair_view(h)) == pytest.approx((scale, degrees, *centre))


def test_the_pose_of_a_perspective_view_is_its_derivative():
    h = true_pose() + np.array([[0, 0, 0], [0, 0, 0], [2e-4, -1e-4, 0]])
    found = pose(pair_view(h))
    assert found is not None
    x, y = found[2:]

    def mapped(dx, dy):
        u, v, w = h @ (x + dx, y + dy, 1)
        return np.array([u / w, v / w])

    step = 1e-3
    jacobian = np.c_[mapped(step, 0) - mapped(-step, 0), mapped(0, step) - mapped(0, -step)] / (2 * step)
    assert found[0] == pytest.approx(np.sqrt(np.linalg.det(jacobian)), rel=1e-5)
    assert mapped(0, 0) == pytest.approx([(n - 1) / 2 for n in INFRARED_WH])


def test_the_error_over_shared_structure_is_told_beside_that_of_the_corners(make_dataset):
    root = make_dataset({"a": ["accepted"]})
    journal = journal_path(root, "a")
    known = read_journal(journal).records
    records = [replace(r, predicted_region_error_px=0.4) if isinstance(r, PairRecord) else r for r in known]
    journal.write_bytes(b"".join(map(encode, records)))
    write_report(root)
    text = " ".join(pages(root)["clips/a.html"].text.split())
    assert "± 1.0 px (± 0.4 px on shared structure)" in text


def test_labels_lie_over_the_pixels_that_they_name(make_dataset):
    root = make_dataset({"a": ["accepted", "accepted"]})
    shapes = (
        Shape("aircraft", "rectangle", ((10.0, 20.0), (30.0, 40.0))),
        Shape("Head", "point", ((12.0, 30.0),)),
        Shape("Tail", "point", ((28.0, 31.0),), flags={"occluded": True}),
        Shape("Vertical", "point", ((1.0, 1.0),), flags={"invisible": True}),
    )
    (root / "labels").mkdir()
    write_labels(label_path(root, "a_000000"), LabelFile("../infrared/a_000000.png", INFRARED_WH, shapes))
    label_path(root, "a_000010").write_text("no JSON")
    write_report(root)
    page = pages(root)["clips/a.html"]
    assert page.source.count("<template data-labels>") == 1  # the unreadable one is left out
    (svg,) = (v for tag, v in page.tags if tag == "svg" and v.get("viewbox", "").startswith("-0.5"))
    assert svg["viewbox"] == f"-0.5 -0.5 {INFRARED_WH[0]} {INFRARED_WH[1]}"
    points = {v["class"]: (v["cx"], v["cy"]) for tag, v in page.tags if tag == "circle"}
    assert points == {"disc": ("12.0", "30.0"), "ring": ("28.0", "31.0")}
    assert any(v.get("points") == "10.0,20.0 30.0,20.0 30.0,40.0 10.0,40.0" for _, v in page.tags)
