"""The report of a registered dataset: HTML pages and figures."""

from vircraft.report.media import write_pair_media
from vircraft.report.pages import write_report
from vircraft.report.pair_picture import draw_pair

__all__ = ["draw_pair", "write_pair_media", "write_report"]
