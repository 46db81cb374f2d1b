"""The files that a clip is made from, and whether its journal still stands for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vircraft.clips import ClipSource
from vircraft.errors import ClipError
from vircraft.files import hash_file
from vircraft.journal import Journal
from vircraft.settings import BuildSettings, fingerprint


@dataclass(frozen=True)
class Inputs:
    """The files of a clip: names, sizes and hashes, and one hash of those that decide the pictures."""

    files: dict[str, dict[str, Any]]
    digest: str


def hash_inputs(source: ClipSource, clips_root: Path) -> Inputs:
    """Hash all files of a clip whole.

    A gigabyte takes about a second, decoding it minutes; hashes of parts would miss a re-encoded middle.

    Raises:
        ClipError: a file cannot be read.
    """
    beside = source.infrared.with_name
    candidates = {
        "infrared": source.infrared,
        "visible": source.visible,
        "sidecar": beside(f"{source.name}.sync.toml"),
        "truth": beside(f"{source.name}.truth.json"),
    }
    files: dict[str, dict[str, Any]] = {}
    for kind, path in candidates.items():
        try:
            if path.is_file():
                name = relative_name(path, clips_root)
                files[kind] = {"name": name, "bytes": path.stat().st_size, "blake2b": hash_file(path)}
        except OSError as error:
            raise ClipError(f"cannot be read: {error.strerror or error}", path=path) from error
    hashes = {kind: facts["blake2b"] for kind, facts in files.items() if kind != "truth"}
    return Inputs(files, fingerprint([hashes, source.offset_frames]))


def relative_name(path: Path, root: Path) -> str:
    """Return a file's name relative to a folder; its bare name when it lies elsewhere."""
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.name


def is_done(journal: Journal, inputs: Inputs, settings: BuildSettings) -> bool:
    """Say whether a journal holds a whole clip, made from these inputs with these settings."""
    clip = journal.clip
    return (
        journal.complete
        and clip is not None
        and clip.inputs_hash == inputs.digest
        and clip.settings_hash == settings.digest()
    )
