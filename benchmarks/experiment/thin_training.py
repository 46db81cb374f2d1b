"""Copy the experiment's dataset with a third of its training clips, every third of each light.

    python benchmarks/experiment/thin_training.py exp

Writes EXP/third/dataset; pictures and the other splits are the same.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

LIGHTS = ("day", "dusk", "night")


def main() -> None:
    """Copy and thin out."""
    exp = Path(sys.argv[1])
    target = exp / "third" / "dataset"
    shutil.copytree(exp / "dataset", target)
    for kind in ("person_keypoints", "instances"):
        path = target / "annotations" / f"{kind}_train.json"
        document = json.loads(path.read_text(encoding="utf-8"))
        clips = sorted({image["clip"] for image in document["images"]})
        kept = {clip for light in LIGHTS for clip in [c for c in clips if c.endswith(light)][::3]}
        document["images"] = [image for image in document["images"] if image["clip"] in kept]
        numbers = {image["id"] for image in document["images"]}
        document["annotations"] = [a for a in document["annotations"] if a["image_id"] in numbers]
        path.write_text(json.dumps(document), encoding="utf-8")
        print(f"{path}: {len(kept)} clips, {len(numbers)} pictures")


if __name__ == "__main__":
    main()
