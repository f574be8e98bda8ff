"""pytest_looplet: record an agent once, replay it offline for ever, judge every step.

The plugin itself is `pytest_looplet.plugin`; pytest loads it. This window holds what tests import, and
loads it when it is asked for, because it is opened in every pytest run of everyone who has it installed.
"""
