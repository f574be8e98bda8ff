"""JSON Schema: what a tool's arguments must look like, checked and written.

`violations` says what is wrong with a value, `check_schema` whether a schema is one, `compile_schema` makes a
reusable check. The part of draft 2020-12 that tools use is known: types, enum and const, objects, arrays,
numbers, strings, combinations, conditions and local references. Unknown keywords are annotations and change
nothing.
"""

from looplet.schema.check import Check, check_schema, compile_schema, violations
from looplet.schema.objects import SCALAR_KINDS, plain_members

__all__ = ["SCALAR_KINDS", "Check", "check_schema", "compile_schema", "plain_members", "violations"]
