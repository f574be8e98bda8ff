"""Which calls may run: rules, the engine that asks them in order, and the hook that asks the engine.

Nothing runs that no rule allows. Every doubt is a denial: no handler to ask, no usable answer, an
exception, a value of the wrong type.
"""

from looplet.permissions.engine import PermissionEngine
from looplet.permissions.hook import PermissionHook
from looplet.permissions.rule import (
    ArgMatcher,
    AskHandler,
    PermissionDecision,
    PermissionOutcome,
    PermissionRule,
)

__all__ = [
    "ArgMatcher",
    "AskHandler",
    "PermissionDecision",
    "PermissionEngine",
    "PermissionHook",
    "PermissionOutcome",
    "PermissionRule",
]
