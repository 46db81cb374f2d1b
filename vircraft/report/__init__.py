"""The report of a registered dataset: HTML pages and figures."""
