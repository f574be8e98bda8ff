"""What is raised where a model is asked for and none is configured."""

from __future__ import annotations

from looplet.errors import ConfigError


class NoModel(ConfigError):
    """No model is configured, and in replay none is recorded."""


class NoJudge(NoModel):
    """No judge is configured, and in replay none is recorded."""
