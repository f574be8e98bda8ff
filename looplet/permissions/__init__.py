"""Which calls may run: rules, the engine that asks them in order, and the hook that asks the engine.

Nothing runs that no rule allows. Every doubt is a denial: no handler to ask, no usable answer, an
exception, a value of the wrong type, a command that cannot be explained.
"""

from looplet.permissions.audit import AuditLog, AuditRecord
from looplet.permissions.commands import command_matcher, command_within
from looplet.permissions.engine import PermissionEngine
from looplet.permissions.explain import Explanation, explain
from looplet.permissions.files import RuleFile, load_rules, rules_of
from looplet.permissions.hook import PermissionHook
from looplet.permissions.matcher import Unsure
from looplet.permissions.paths import path_within
from looplet.permissions.rule import (
    ArgMatcher,
    AskHandler,
    PermissionDecision,
    PermissionOutcome,
    PermissionRule,
)
from looplet.permissions.terminal import TerminalPrompt
from looplet.permissions.values import equals, one_of, regex, url_host

__all__ = [
    "ArgMatcher",
    "AskHandler",
    "AuditLog",
    "AuditRecord",
    "Explanation",
    "PermissionDecision",
    "PermissionEngine",
    "PermissionHook",
    "PermissionOutcome",
    "PermissionRule",
    "RuleFile",
    "TerminalPrompt",
    "Unsure",
    "command_matcher",
    "command_within",
    "equals",
    "explain",
    "load_rules",
    "one_of",
    "path_within",
    "regex",
    "rules_of",
    "url_host",
]
