"""`vircraft show`: draw pairs of a dataset, or labelled pictures of a folder, as PNG."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vircraft_cli.printable import printable

if TYPE_CHECKING:
    from vircraft.annotation.label_files import LabelFiles
    from vircraft.journal import PairRecord
    from vircraft.report.drawing import Picture
    from vircraft.report.labelled import LabelledPictures

FINISHED_WITH_FAILURES = 3


@click.command("show", short_help="Draw pairs of a dataset, or labelled pictures, as PNG.")
@click.argument("targets", nargs=-1, metavar="[DATASET] [PAIR_ID|FILE]...", type=click.Path(path_type=Path))
@click.option("--labels", is_flag=True, help="Draw the labels large: points with names, skeleton, box, mask.")
@click.option(
    "--contact", is_flag=True, help="Draw contact sheets: many labelled pictures on a page, for review."
)
@click.option(
    "--on", metavar="infrared|visible|both|FOLDER",
    help="Draw the labels on these pictures; a folder holds pictures named as the labelled ones are. "
    "[default: both]",
)  # fmt: skip
@click.option("--clip", "clips", multiple=True, metavar="NAME", help="Every pair of this clip; repeatable.")
@click.option("--all", "everything", is_flag=True, help="Every pair, or every label file of a folder.")
@click.option(
    "--root", type=click.Path(path_type=Path), metavar="DIR",
    help="A folder of Labelme files that is no dataset; FILEs are label files or pictures in it.",
)  # fmt: skip
@click.option("--names/--no-names", default=True, show_default=True, help="Write the names of the keypoints.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="PATH",
    help="PNG to write, or a folder for several. Only a file that 'show' drew is written over. "
    "[default: ID_pair.png here, with labels ID_labels.png]",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a picture.")
@click.option("-q", "--quiet", is_flag=True, help="Print problems only.")
def command(
    targets: tuple[Path, ...],
    labels: bool,
    contact: bool,
    on: str | None,
    clips: tuple[str, ...],
    everything: bool,
    root: Path | None,
    names: bool,
    output: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Draw pairs of a dataset, or labelled pictures of any folder, as PNG.

    A pair is drawn as one sheet: the infrared frame, the registered visible frame, the infrared edges over
    it, a checkerboard of both, and the labels if there are any. PAIR_ID is an id from pairs.csv, or the path
    of one of its files.

    With --labels its labels are drawn large: outline, box, skeleton and keypoints, a disc where they are
    visible, a ring where occluded, listed where invisible; small aircraft are enlarged, dark pictures
    brightened. --contact puts many on a page. Labels that break a rule are drawn as far as they can be read;
    the exit code is 3 then.

    \b
    Example:
      vircraft show dataset approach_000120
      vircraft show dataset approach_000120 --labels --on visible -o labelled.png
      vircraft show dataset --clip approach --contact -o review
      vircraft show --root pictures pictures/one.json
    """
    choice = _choose(targets, root, clips, everything, drawn=labels or contact or on is not None)
    drawn = labels or contact or on is not None or choice.found is not None
    _check_output(output, contact=contact, several=choice.count > 1)
    job = _Job(choice, on, names, output, as_json, quiet)
    if contact:
        job.draw_contact()
    elif drawn:
        job.draw_labels()
    else:
        job.draw_sheets()
    if choice.unlabelled and not (quiet or as_json):
        pairs = "1 pair has" if choice.unlabelled == 1 else f"{choice.unlabelled} pairs have"
        click.echo(f"{pairs} no labels and {'is' if choice.unlabelled == 1 else 'are'} not drawn", err=True)
    return FINISHED_WITH_FAILURES if job.failed else 0


def _check_output(output: Path | None, *, contact: bool, several: bool) -> None:
    if contact or (output is not None and output.is_dir()):
        return
    is_png = output is not None and output.suffix.lower() == ".png"
    if several and (output is None or is_png):
        raise click.UsageError("several pictures need a folder: -o FOLDER (or --contact, many on a page)")
    if not several and output is not None and not is_png:
        raise click.UsageError(f"{output}: the picture is a PNG; name it {output.with_suffix('.png')}")


@dataclass
class _Choice:
    """What to draw: pairs of a dataset, or label files of a plain folder."""

    root: Path
    records: list[PairRecord] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    found: LabelFiles | None = None  # of the plain folder
    unlabelled: int = 0

    @property
    def count(self) -> int:
        """How many pictures."""
        return len(self.records) + len(self.files)


@dataclass
class _Job:
    """Draws what was chosen, writes it, says so."""

    choice: _Choice
    on: str | None
    names: bool
    output: Path | None
    as_json: bool
    quiet: bool
    failed: bool = False

    def draw_sheets(self) -> None:
        from vircraft.report.pair_picture import draw_pair

        for pair in self.choice.records:
            self._write(draw_pair(self.choice.root, pair.id), self._path(pair.id, "pair"), _record(pair))

    def draw_labels(self) -> None:
        from vircraft.report.label_picture import draw_labelled

        for item, pair in self._items():
            facts = _record(pair) if pair is not None else {"name": item.name}
            problem = item.labels.problem if item.labels else ""
            picture = draw_labelled(item, names=self.names)
            path = self._path(item.name, "labels")
            self._write(picture, path, {**facts, "problem": problem}, item.sources)

    def draw_contact(self) -> None:
        from vircraft.report.contact_sheet import draw_contact_sheets

        shown: list[str] = []
        sources: list[Path] = []

        def items() -> Iterator[LabelledPictures]:
            for item, _ in self._items():
                shown.append(item.name)
                sources.extend(item.sources)
                yield item

        for n, page in enumerate(draw_contact_sheets(items()), start=1):
            self._write(page, self._page_path(n), {"pictures": list(shown)}, sources)
            shown.clear()

    def _items(self) -> Iterator[tuple[LabelledPictures, PairRecord | None]]:
        """Load what was chosen; what cannot be loaded is named and, where there is more, left out."""
        from vircraft.errors import VircraftError
        from vircraft.report.labelled import BOTH, file_pictures, pair_pictures

        pair: PairRecord | None
        everything: list[PairRecord | Path] = [*self.choice.records, *self.choice.files]
        for chosen in everything:
            try:
                if isinstance(chosen, Path):
                    assert self.choice.found is not None
                    item, pair = file_pictures(self.choice.found, chosen, self.on), None
                else:
                    item, pair = pair_pictures(self.choice.root, chosen, self.on or BOTH), chosen
            except VircraftError as error:
                if self.choice.count == 1:
                    raise
                self.failed = True
                click.echo(f"left out  {error}", err=True)
                continue
            if item.labels is not None and item.labels.problem:
                self.failed = True
                click.echo(f"breaks a rule  {item.labels.message} [{item.labels.problem}]", err=True)
            yield item, pair

    def _write(
        self, picture: Picture, path: Path, facts: dict[str, Any], sources: Sequence[Path] = ()
    ) -> None:
        from vircraft.report.drawn_files import write_drawn

        write_drawn(path, picture, sources)
        if self.as_json:
            click.echo(json.dumps({"picture": str(path), **facts}))
        elif not self.quiet:
            click.echo(printable(str(path)))

    def _path(self, name: str, what: str) -> Path:
        """Return where a picture goes; in a folder of their own, label files keep their folders."""
        plain = name.rpartition("/")[2]
        if self.output is None:
            return Path(f"{plain}_{what}.png")  # here may be the folder of the pictures, where ID.png is one
        if self.choice.count > 1 or self.output.is_dir():
            return self.output / f"{name if self.choice.found else plain}.png"
        return self.output

    def _page_path(self, number: int) -> Path:
        """Return where a contact sheet goes: PATH.png, PATH_002.png, ..., or FOLDER/contact_001.png, ..."""
        if self.output is None or self.output.is_dir() or self.output.suffix.lower() != ".png":
            return (self.output or Path()) / f"contact_{number:03d}.png"
        return self.output if number == 1 else self.output.with_stem(f"{self.output.stem}_{number:03d}")


def _choose(
    targets: tuple[Path, ...], root: Path | None, clips: tuple[str, ...], everything: bool, *, drawn: bool
) -> _Choice:
    """Return what the command line names."""
    from vircraft.dataset import MANIFEST, Dataset

    if root is None and not targets:
        raise click.UsageError("name a dataset and a pair, or --root DIR and a label file")
    if root is None:
        root, targets = targets[0], targets[1:]
        if (root / MANIFEST).is_file() or not _holds_labels(root):
            return _choose_pairs(Dataset.open(root), targets, clips, everything, drawn=drawn)
    if clips:
        raise click.UsageError(f"--clip needs a dataset; {root} is a folder of label files")
    return _choose_files(root, targets, everything)


def _holds_labels(folder: Path) -> bool:
    return folder.is_dir() and next(folder.rglob("*.json"), None) is not None


def _choose_pairs(
    dataset: Any, ids: tuple[Path, ...], clips: tuple[str, ...], everything: bool, *, drawn: bool
) -> _Choice:
    from vircraft.dataset import label_path
    from vircraft.errors import DatasetError
    from vircraft.report.pair_picture import find_pair

    choice = _Choice(dataset.root, [find_pair(dataset, str(pair_id)) for pair_id in ids])
    if not ids and not clips and not everything:
        raise click.UsageError("name a pair (PAIR_ID, see pairs.csv), a clip (--clip NAME), or --all")
    pairs = [record for record in dataset.pairs() if everything or record.clip in clips]
    known = {record.clip for record in pairs}
    for clip in clips:
        if clip not in known:
            names = sorted({record.clip for record in dataset.pairs()})
            raise DatasetError(f"{dataset.root}: has no clip {clip!r}; it has {', '.join(names[:5])}")
    labelled = [r for r in pairs if not drawn or label_path(dataset.root, r.id).is_file()]
    choice.unlabelled = len(pairs) - len(labelled)
    if pairs and not labelled and not ids:
        raise DatasetError(f"{dataset.root}: no pair that was asked for has labels; see 'vircraft annotate'")
    chosen = {record.id for record in choice.records}
    choice.records += [record for record in labelled if record.id not in chosen]
    return choice


def _choose_files(root: Path, names: tuple[Path, ...], everything: bool) -> _Choice:
    from vircraft.annotation.label_folder import find_labels

    found = find_labels(root)
    if not names and not everything:
        raise click.UsageError("name a label file or picture of the folder, or --all")
    files = [_file_of(found, name) for name in names]
    if everything:
        files += [path for path in found.files if path not in files]
    return _Choice(root, files=files, found=found)


def _file_of(found: LabelFiles, name: Path) -> Path:
    """Return the label file that a path or name of a label file or picture stands for."""
    from vircraft.errors import InputFileError

    resolved = {path.resolve(): path for path in found.files}
    for place in (name, found.root / name):
        for suffixed in (place, place.with_suffix(".json"), Path(f"{place}.json")):
            if suffixed.resolve() in resolved:
                return resolved[suffixed.resolve()]
    same_stem = [path for path in found.files if path.stem == name.stem]
    if len(same_stem) == 1:
        return same_stem[0]
    first = ", ".join(found.name(path) for path in found.files[:3])
    raise InputFileError(
        f"there is no label file for it in {found.root}; {len(found.files)} are there ({first}, ...)",
        path=name,
        reason="no-labels",
    )


def _record(pair: PairRecord) -> dict[str, Any]:
    from vircraft.settings import plain

    record: dict[str, Any] = plain(pair)
    return record
