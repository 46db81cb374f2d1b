"""The report of a registered dataset: HTML pages and figures."""

from vircraft.report.media import write_pair_media
from vircraft.report.pages import write_report

__all__ = ["write_pair_media", "write_report"]
