"""A report as one HTML file that needs no network, also from disk."""

from pytest_looplet.report.html.page import page

__all__ = ["page"]
