"""What a training reads: pairs of registered pictures with their foreground, from any of four layouts."""

from fgfusion_model.data.crops import Batch
from fgfusion_model.data.loading import Loaded, load_pairs
from fgfusion_model.data.pairs import FoundPairs, LeftOut, MaskSource, TrainingPair, count_masks
from fgfusion_model.data.sources import Source, find_pairs, parse_source
from fgfusion_model.data.store import CACHE_MODES, CacheMode

__all__ = [
    "CACHE_MODES",
    "Batch",
    "CacheMode",
    "FoundPairs",
    "LeftOut",
    "Loaded",
    "MaskSource",
    "Source",
    "TrainingPair",
    "count_masks",
    "find_pairs",
    "load_pairs",
    "parse_source",
]
