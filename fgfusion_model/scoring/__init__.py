"""Score fused pictures: find them beside their sources, compute the metrics, summarise, write."""

from fgfusion_model.scoring.files import write_scores
from fgfusion_model.scoring.job import score_folders
from fgfusion_model.scoring.pictures import Sources, dataset_sources, folder_sources
from fgfusion_model.scoring.sheets import write_sheets
from fgfusion_model.scoring.table import ScoreSettings, ScoreTable

__all__ = [
    "ScoreSettings",
    "ScoreTable",
    "Sources",
    "dataset_sources",
    "folder_sources",
    "score_folders",
    "write_scores",
    "write_sheets",
]
