"""What a session came to: one frozen report, shown and written in several forms."""

from pytest_looplet.report.conclude import conclude
from pytest_looplet.report.model import EvalRow, SessionReport, TestRow

__all__ = ["EvalRow", "SessionReport", "TestRow", "conclude"]
