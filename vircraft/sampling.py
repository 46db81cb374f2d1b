"""Choose which frames make pairs, and read those: each stream decoded once, no more of it than needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vircraft.clips import Clip, Stream
from vircraft.decoding import bgr_picture, grey_picture
from vircraft.errors import SettingsError
from vircraft.palettes import undo_palette
from vircraft.reading import DamagedFrame, OnDamage, read_frames
from vircraft.sync import Synchronisation

HALF_A_FRAME = 0.5 + 1e-3  # the thousandth forgives container time stamps rounded to milliseconds


@dataclass(frozen=True)
class SamplingSettings:
    """Which ticks of the common clock become pairs."""

    every: int = 10  # every so many ticks
    start_tick: int = 0  # the first tick
    max_pairs: int = 0  # stop after so many; 0 takes all

    def __post_init__(self) -> None:
        if self.every < 1:
            raise SettingsError(f"every is {self.every}; it is at least 1")
        if self.start_tick < 0 or self.max_pairs < 0:
            raise SettingsError("start_tick and max_pairs are not negative")


@dataclass(frozen=True)
class PlannedPair:
    """One infrared and one visible frame of the same instant.

    Attributes:
        tick: of the common clock.
        infrared_index, visible_index: count the frames that each file really holds, in presentation order.
        infrared_time_s, visible_time_s: their presentation times, each on its own stream's clock.
    """

    tick: int
    infrared_index: int
    visible_index: int
    infrared_time_s: float
    visible_time_s: float


@dataclass(frozen=True)
class PairPlan:
    """The pairs of a clip, and how many ticks gave none.

    Attributes:
        pairs: by ascending tick.
        skipped: ticks without a pair by reason: `no-infrared` or `no-visible` (no frame within half a frame
            of the tick), `no-overlap` (only one camera was running).
        rate_fps: ticks per second of the common clock.
    """

    pairs: tuple[PlannedPair, ...]
    skipped: dict[str, int] = field(default_factory=dict)
    rate_fps: float = 0.0


@dataclass(frozen=True, eq=False)
class FramePair:
    """Two pictures of one instant.

    Attributes:
        id: `CLIP_000120`; the number is the tick.
        infrared: (H, W) uint8, or uint16 where the stream is deeper than 8 bits; palette undone.
        visible: (H, W, 3) uint8 BGR.
    """

    id: str
    clip: str
    tick: int
    infrared_index: int
    visible_index: int
    infrared_time_s: float
    visible_time_s: float
    infrared: NDArray[np.uint8] | NDArray[np.uint16]
    visible: NDArray[np.uint8]


def pair_id(clip_name: str, tick: int) -> str:
    """Return the id of a clip's pair."""
    return f"{clip_name}_{tick:06d}"


def plan_pairs(clip: Clip, sync: Synchronisation, settings: SamplingSettings | None = None) -> PairPlan:
    """Choose the frames of every n-th tick of the common clock.

    The clock ticks at the rate of the slower camera, from the infrared stream's first frame on (from the
    visible one's when that camera is the slower by more than a tenth), so a lost frame leaves a vacant tick
    and shifts nothing. A tick takes the frame nearest to it, and its partner is the frame of the other
    stream nearest to that frame's instant, each within half a frame.
    """
    settings = settings or SamplingSettings()
    infrared, visible = clip.infrared, clip.visible
    leads_infrared = visible.rate_fps > 0.9 * infrared.rate_fps
    leader, partner = (infrared, visible) if leads_infrared else (visible, infrared)
    to_partner = sync.visible_time_s if leads_infrared else sync.infrared_time_s
    partner_tolerance_s = HALF_A_FRAME / partner.rate_fps
    first_s, last_s = (
        partner.start_time_s - partner_tolerance_s,
        float(partner.times_s[-1]) + partner_tolerance_s,
    )
    leader_reason = "no-infrared" if leads_infrared else "no-visible"
    partner_reason = "no-visible" if leads_infrared else "no-infrared"
    skipped: Counter[str] = Counter()
    pairs: list[PlannedPair] = []
    last_tick = int(np.floor((leader.times_s[-1] - leader.start_time_s) * leader.rate_fps + 0.5))
    for tick in range(settings.start_tick, last_tick + 1, settings.every):
        tick_s = leader.start_time_s + tick / leader.rate_fps
        partner_tick_s = to_partner(tick_s)
        if not first_s <= partner_tick_s <= last_s:
            skipped["no-overlap"] += 1
            continue
        own = _nearest(leader, tick_s)
        if abs(leader.times_s[own] - tick_s) > HALF_A_FRAME / leader.rate_fps:
            skipped[leader_reason] += 1
            continue
        instant_s = to_partner(float(leader.times_s[own]))
        other = _nearest(partner, instant_s)
        if abs(partner.times_s[other] - instant_s) > partner_tolerance_s:
            skipped[partner_reason] += 1
            continue
        i, v = (own, other) if leads_infrared else (other, own)
        pairs.append(PlannedPair(tick, i, v, float(infrared.times_s[i]), float(visible.times_s[v])))
        if settings.max_pairs and len(pairs) == settings.max_pairs:
            break
    return PairPlan(tuple(pairs), dict(sorted(skipped.items())), leader.rate_fps)


def _nearest(stream: Stream, time_s: float) -> int:
    """Return the index of the frame nearest in time; of equally near ones the first."""
    times_s = stream.times_s
    right = int(np.searchsorted(times_s, time_s))
    if right == 0:
        return 0
    left = int(np.searchsorted(times_s, times_s[right - 1]))
    if right == len(times_s) or time_s - times_s[left] <= times_s[right] - time_s:
        return left
    return right


def read_pairs(
    clip: Clip,
    plan: PairPlan,
    on_damage: Callable[[int, DamagedFrame], None] | None = None,
    on_flaw: OnDamage | None = None,
) -> Iterator[FramePair]:
    """Read the planned pairs in order, decoding each stream at most once.

    Args:
        clip: the probed clip.
        plan: from plan_pairs.
        on_damage: called with the tick and the frame when a planned frame cannot be decoded; its pair is
            left out.
        on_flaw: called with each damaged frame that is met on the way, whether a pair needs it or not.

    Raises:
        ClipError: a file can no longer be opened.
    """
    infrared = _pictures(clip.infrared, [pair.infrared_index for pair in plan.pairs], on_flaw)
    visible = _pictures(clip.visible, [pair.visible_index for pair in plan.pairs], on_flaw)
    for pair, infrared_picture, visible_picture in zip(plan.pairs, infrared, visible, strict=True):
        whole = True
        for picture in (infrared_picture, visible_picture):
            if isinstance(picture, DamagedFrame):
                whole = False
                if on_damage is not None:
                    on_damage(pair.tick, picture)
        if whole:
            yield FramePair(
                id=pair_id(clip.name, pair.tick),
                clip=clip.name,
                tick=pair.tick,
                infrared_index=pair.infrared_index,
                visible_index=pair.visible_index,
                infrared_time_s=pair.infrared_time_s,
                visible_time_s=pair.visible_time_s,
                infrared=infrared_picture,
                visible=visible_picture,
            )


def _pictures(stream: Stream, indices: list[int], on_damage: OnDamage | None) -> Iterator[Any]:
    """Yield a picture, or a DamagedFrame, for each index; an index may repeat."""
    frames = read_frames(stream, sorted(set(indices)), on_damage)
    last_index = -1
    last: Any = None
    for index in indices:
        if index != last_index:
            _, frame = next(frames)
            last_index = index
            if isinstance(frame, DamagedFrame):
                last = frame
            elif stream.modality == "visible":
                last = bgr_picture(frame, stream.rotation_deg)
            elif stream.palette is not None:
                last = undo_palette(bgr_picture(frame, stream.rotation_deg), stream.palette)
            else:
                last = grey_picture(frame, stream.rotation_deg)
        yield last
