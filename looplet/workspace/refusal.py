"""Why a workspace does not do something, and what would."""

from __future__ import annotations


class Refused(Exception):
    """The workspace does not do this.

    Attributes:
        remedy: What the model can do instead, in one sentence.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy

    def to_dict(self) -> dict[str, str]:
        """The result of the tool: `{"error", "remediation"}`."""
        return {"error": str(self), "remediation": self.remedy}
