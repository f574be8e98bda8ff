"""What every test here may use: pytest's own plugin for testing plugins, and how long hypothesis looks."""

import os

from hypothesis import settings

pytest_plugins = ["pytester"]

# No deadline: a machine that does several things at once is slow now and then. In CI the examples are the
# same in every run, so that red means the change and not the dice.
settings.register_profile("house", deadline=None, max_examples=30, derandomize="CI" in os.environ)
settings.load_profile("house")
