"""Labelling a small dataset with a Labelme that does what a test wants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fake_labelme import HEIGHT, WIDTH, outline, write_fake_labelme
from vircraft.annotation.labelling.labelme_program import find_labelme
from vircraft.annotation.labelling.offers import OfferSettings
from vircraft.annotation.labelling.session import LabellingSummary, label_pictures
from vircraft.dataset import label_path


def label(
    root: Path, body: str = "", settings: OfferSettings | None = None, **options: Any
) -> LabellingSummary:
    """Run the labelling with a Labelme that does what `body` says."""
    program = find_labelme(write_fake_labelme(root.parent, body))
    return label_pictures(root, settings or OfferSettings(), program, poll_s=0.02, **options)


def put_labels(root: Path, pair_id: str, **changes: Any) -> dict[str, Any]:
    """Write labels as somebody has them in the dataset."""
    document = {
        "version": "5.5.0",
        "flags": {"reviewed": True},
        "shapes": [outline()],
        "imagePath": f"../infrared/{pair_id}.png",
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
        **changes,
    }
    path = label_path(root, pair_id)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document))
    return document


def labels_of(root: Path, pair_id: str) -> Any:
    return json.loads(label_path(root, pair_id).read_text())


def outcomes(summary: LabellingSummary) -> dict[str, str]:
    return {outcome.name: outcome.kind for outcome in summary.outcomes}
