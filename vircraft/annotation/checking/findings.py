"""What `vircraft check` may remark on labels that follow the contract: a finding never changes an outcome."""

from __future__ import annotations

from dataclasses import dataclass

# code -> what it means, in the order in which a summary lists them
FINDINGS = {
    "left-right-swapped": "left and right points are exchanged, all of them or one pair",
    "head-tail-swapped": "Head and Tail are exchanged",
    "front-behind-swapped": "front and behind of a wing tip are exchanged",
    "asymmetric": "the left and right points of an aircraft do not mirror each other",
    "point-jumps": "a keypoint jumps against the frames before and after",
    "keypoint-off-outline": "a keypoint lies off the outline of its aircraft",
    "outline-misses-keypoints": "an outline does not lie where its keypoints are",
    "keypoint-off-box": "a keypoint lies outside the drawn box",
    "box-misfit": "the drawn box does not fit the outline",
    "mixed-groups": "shapes of two aircraft carry one group id",
    "groups-exchanged": "two aircraft have exchanged their group ids since the frame before",
    "keypoints-in-crowd": "a crowd has keypoints; they are dropped",
    "not-confirmed": "proposed labels that nobody has confirmed",
    "no-labels": "nothing is labelled and the file is not flagged reviewed",
    "two-files-one-picture": "two label files name the same picture",
    "pair-rejected": "the pair of the labels was rejected",
    "pair-gone": "the pair of the labels is no longer in the dataset",
}

BOX = "box"  # stands for the label of a drawn rectangle in `Finding.label`


@dataclass(frozen=True)
class Finding:
    """Something implausible.

    Attributes:
        code: a key of FINDINGS.
        message: what was found, with numbers, and what to do.
        group_id: of the aircraft it is about.
        label: of the shape it is about, `BOX` for the rectangle; "" for the whole file.
        shape: position of that shape in the file, once it was looked up.
    """

    code: str
    message: str
    group_id: int | None = None
    label: str = ""
    shape: int | None = None

    def __post_init__(self) -> None:
        if self.code not in FINDINGS:
            raise ValueError(f"{self.code!r} is no finding; it is one of {', '.join(FINDINGS)}")
