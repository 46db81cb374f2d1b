"""Register the pairs of one clip: the pose is found on a few frames, then verified and followed on the rest.

Frames in which nothing can be measured (smoke, an empty sky) are carried by their neighbours and say so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from vircraft.registration.edges import Floats, VisiblePyramid, grey_8bit
from vircraft.registration.foreground import Grey8, move_to_target, target_mask, work_picture
from vircraft.registration.gate import Search, measure, predicted_error_px, probability, region_share
from vircraft.registration.pair import WIDTHS, Found, find, judge, register_pair, unusable
from vircraft.registration.refine import SIMILARITY, Refinement, Template, refine
from vircraft.registration.result import Registration
from vircraft.registration.settings import RegistrationSettings
from vircraft.registration.track import HALF_WINDOWS, Measured, pool
from vircraft.registration.warp import Matrix, corner_error_px
from vircraft.sampling import FramePair

LAG = 24  # pairs held back so that later ones can carry them
LAG_BYTES = 320 * 2**20  # and no more than this of pictures
SEARCH_EVERY = 3  # while lost, every so manyth frame is searched in full
CHECKS = (4, 12, 36)  # measured frames after which the pose is searched anew, to catch a false one
LONE_PROBABILITY = 0.9  # one frame of a clip that no other supports must be this sure
MISSES = 3  # frames in a row without support after which the pose counts as lost
DIFFERENT_SHARE = 0.06  # answers further apart than this share of the infrared width contradict each other
COARSE_STEPS = 4
# a followed frame is not searched: it is judged as a search on the edge of belief would have left it, so that
# what it shows itself decides
FOLLOWED = Search(rival_z=4.5, inliers=22, alike=8)


@dataclass
class _Held:
    """A pair that waits for its answer."""

    pair: FramePair
    number: int
    reason: str = ""  # why it cannot be measured at all
    own: Registration | None = None  # what the frame itself supports
    alone: Registration | None = None  # what a search that did not convince the gate came to
    work: Grey8 | None = None  # small infrared picture, to tell the target from the background


@dataclass
class _Pose:
    """What is known of the rig now."""

    h_ir_from_vis: Matrix
    anchor: Matrix  # the similarity that stretch, shear and perspective are held to
    probability: float
    supported: int = 0


def register_clip(
    pairs: Iterable[FramePair], settings: RegistrationSettings | None = None
) -> Iterator[tuple[FramePair, Registration]]:
    """Register a clip's pairs as one rig.

    Args:
        pairs: in order of time, all of one size.
        settings: ranges of the search and thresholds of the gate.

    Yields:
        Each pair with its registration, in order, at most `LAG` pairs behind the input. The reason is
        `carried` where neighbours carry a frame.
    """
    settings = settings or RegistrationSettings()
    if settings.recipe == "paper":
        for pair in pairs:
            yield pair, register_pair(pair.visible, pair.infrared, settings)
        return
    follower = _Follower(settings)
    for pair in pairs:
        yield from follower.push(pair)
    yield from follower.finish()


@dataclass
class _Follower:
    settings: RegistrationSettings
    pose: _Pose | None = None
    held: deque[_Held] = field(default_factory=deque)
    measured: list[Measured] = field(default_factory=list)
    half_convinced: deque[tuple[int, Matrix]] = field(default_factory=lambda: deque(maxlen=LAG))
    count: int = 0
    misses: int = 0

    def push(self, pair: FramePair) -> Iterator[tuple[FramePair, Registration]]:
        """Take one pair in; yield those whose answer is ripe."""
        entry = _Held(pair, self.count)
        self.count += 1
        visible, infrared = grey_8bit(pair.visible), grey_8bit(pair.infrared)
        entry.reason = unusable(infrared, "infrared") or unusable(visible, "visible")
        entry.work = work_picture(infrared)
        self.held.append(entry)
        if not entry.reason:
            self._measure(entry, visible, infrared)
        lag = int(np.clip(LAG_BYTES // (pair.visible.nbytes + pair.infrared.nbytes), 4, LAG))
        while len(self.held) > lag:
            yield self._answer()

    def finish(self) -> Iterator[tuple[FramePair, Registration]]:
        """Yield what is still held."""
        while self.held:
            yield self._answer()

    def _measure(self, entry: _Held, visible: Floats, infrared: Floats) -> None:
        if self.pose is None:
            # each of the first frames is searched: a good one is soon found where there is one
            if entry.number % SEARCH_EVERY == 0 or entry.number < SEARCH_EVERY:
                self._acquire(entry, visible, infrared)
            return
        if self.pose.supported in CHECKS and self._contradicted(entry, visible, infrared):
            return
        if self._follow(entry, visible, infrared, self.pose.h_ir_from_vis):
            self.misses = 0
            return
        self.misses += 1
        if self.misses >= MISSES:
            self.pose = None
            self.misses = 0

    def _acquire(self, entry: _Held, visible: Floats, infrared: Floats) -> None:
        found = find(visible, infrared, self.settings)
        if found is None:
            entry.reason = "outside-range"
            return
        belief = probability(found.evidence)
        if belief < self.settings.accept_probability:
            entry.alone = judge(found, (infrared.shape[1], infrared.shape[0]), self.settings)
            if entry.alone.h_ir_from_vis is not None:
                self.half_convinced.append((entry.number, entry.alone.h_ir_from_vis))
            return
        self.pose = _pose(found, belief)
        self._support(entry, visible, infrared, found, belief)
        self._look_back(entry)

    def _look_back(self, start: _Held) -> None:
        """Follow the new pose back through the frames that are still held."""
        expected = self.pose.h_ir_from_vis if self.pose else None
        misses = 0
        for entry in reversed([e for e in self.held if e.number < start.number]):
            if entry.own is not None or expected is None or misses >= MISSES:
                return
            if entry.reason:
                continue
            visible, infrared = grey_8bit(entry.pair.visible), grey_8bit(entry.pair.infrared)
            if self._follow(entry, visible, infrared, expected):
                assert entry.own is not None
                expected = entry.own.h_ir_from_vis
                misses = 0
            else:
                misses += 1

    def _contradicted(self, entry: _Held, visible: Floats, infrared: Floats) -> bool:
        """Search a frame anew; where a surer answer lies elsewhere, start again from there."""
        assert self.pose is not None
        self.pose.supported += 1
        found = find(visible, infrared, self.settings)
        if found is None:
            return False
        belief = probability(found.evidence)
        size = (infrared.shape[1], infrared.shape[0])
        apart = corner_error_px(found.refinement.h_ir_from_vis, self.pose.h_ir_from_vis, size)
        if apart <= DIFFERENT_SHARE * size[0] or belief <= max(
            self.pose.probability, self.settings.accept_probability
        ):
            return False
        self.pose = _pose(found, belief)
        self.measured.clear()
        for held in self.held:
            held.own = None
        self._support(entry, visible, infrared, found, belief)
        self._look_back(entry)
        return True

    def _follow(self, entry: _Held, visible: Floats, infrared: Floats, expected: Matrix) -> bool:
        """Measure one frame near an expected pose; True when it supports it."""
        assert self.pose is not None
        pyramid = VisiblePyramid(visible)
        start = refine(
            Template(infrared, WIDTHS[0]),
            pyramid,
            expected,
            parameters=SIMILARITY,
            steps=COARSE_STEPS,
            reweigh=(),
        ).h_ir_from_vis
        template = Template(infrared, WIDTHS[2])
        now = refine(template, pyramid, start, steps=6, reweigh=(0, 3), anchor=self.pose.anchor)
        evidence = measure(
            template,
            pyramid,
            now,
            anchor=self.pose.anchor,
            search=FOLLOWED,
        )
        belief = probability(evidence)
        if belief < self.settings.accept_probability:
            return False
        width = infrared.shape[1]
        entry.own = Registration(
            "fine",
            now.h_ir_from_vis,
            predicted_error_px(evidence, width),
            probability=belief,
            score=evidence.score,
            model="homography",
        )
        self._record(entry, template, pyramid, now.information)
        return True

    def _support(self, entry: _Held, visible: Floats, infrared: Floats, found: Found, belief: float) -> None:
        entry.own = Registration(
            "fine",
            found.refinement.h_ir_from_vis,
            predicted_error_px(found.evidence, infrared.shape[1]),
            probability=belief,
            score=found.evidence.score,
            coarse_score=found.coarse_score,
            inliers=found.orb.inliers if found.orb else 0,
            residual_px=found.orb.residual_px if found.orb else float("nan"),
            model="homography",
        )
        pyramid = VisiblePyramid(visible)
        self._record(entry, Template(infrared, WIDTHS[2]), pyramid, found.coarse.now.information)

    def _record(self, entry: _Held, template: Template, pyramid: VisiblePyramid, information: Matrix) -> None:
        """Keep a frame's measurement, moved onto the target where one stands out."""
        assert self.pose is not None
        assert entry.own is not None
        assert entry.own.h_ir_from_vis is not None
        h = entry.own.h_ir_from_vis
        mask = self._target(entry)
        if mask is not None:
            h = move_to_target(template, pyramid, h, mask)
        error = entry.own.predicted_error_px or 1.0
        share = region_share(template, pyramid, Refinement(h, 0.0, information))
        self.measured.append(Measured(entry.number, h, error, share, on_target=mask is not None))
        self.pose.supported += 1
        # the next frame is followed by its whole picture, so from this one's whole picture
        if entry.number == max(m.number for m in self.measured):
            self.pose.h_ir_from_vis = entry.own.h_ir_from_vis

    def _target(self, entry: _Held) -> Floats | None:
        """Return the target's mask from the frame before or after, whichever is held."""
        for other in self.held:
            if abs(other.number - entry.number) == 1 and other.work is not None and entry.work is not None:
                mask = target_mask(entry.work, other.work)
                if mask is not None:
                    return mask
        return None

    def _answer(self) -> tuple[FramePair, Registration]:
        """Give the oldest pair its answer."""
        entry = self.held.popleft()
        infrared = entry.pair.infrared
        pooled = pool(self.measured, entry.number, (infrared.shape[1], infrared.shape[0]))
        self.measured = [m for m in self.measured if m.number >= entry.number - HALF_WINDOWS[0]]
        own = entry.own
        lone = pooled is not None and pooled.frames == 1 and self.count > 1
        if pooled is None or (lone and (own is None or own.probability < LONE_PROBABILITY)):
            return entry.pair, self._doubtful(entry)
        if pooled.region_error_px > self.settings.max_error_px:
            return entry.pair, Registration("refused", reason="large-error")
        answer = Registration(
            "fine",
            pooled.h_ir_from_vis,
            pooled.error_px,
            reason="carried",
            model="homography",
            predicted_region_error_px=pooled.region_error_px,
        )
        return entry.pair, answer if own is None else replace(answer.measured_as(own), reason="")

    def _doubtful(self, entry: _Held) -> Registration:
        """Answer for a frame without a pose: the coarse one when another frame came to it too."""
        alone = entry.alone
        if alone is None:
            return Registration("refused", reason=entry.reason or "no-evidence")
        if alone.h_ir_from_vis is None:
            return alone
        infrared = entry.pair.infrared
        size = (infrared.shape[1], infrared.shape[0])
        for number, h in self.half_convinced:
            apart = corner_error_px(h, alone.h_ir_from_vis, size)
            if number != entry.number and apart < DIFFERENT_SHARE * size[0]:
                return alone
        return Registration("refused", reason="low-score", probability=alone.probability, score=alone.score)


def _pose(found: Found, belief: float) -> _Pose:
    return _Pose(
        found.refinement.h_ir_from_vis,
        found.coarse.start,
        probability=belief,
    )
