"""Tool calls in model text: what is found, what never is, and that nothing makes the parser raise."""

import json

import pytest
from hypothesis import example, given, settings, strategies as st

from looplet.parse import (
    contract_call,
    native_call,
    parse_multi_tool_calls,
    parse_native_tool_use,
    parse_tool_call,
    to_text,
)
from looplet.values import plain


def found(reply):
    return [(call.tool, call.args) for call in parse_multi_tool_calls(reply)]


X, Y = ("x", {}), ("y", {})

FINDS = {
    "an object alone": ('{"tool": "x", "args": {"a": 1}}', [("x", {"a": 1})]),
    "no args": ('{"tool": "x"}', [X]),
    "blanks around": ('\n\t {"tool": "x"} \n', [X]),
    "a json fence": ('```json\n{"tool": "x"}\n```', [X]),
    "a bare fence": ('```\n{"tool": "x"}\n```', [X]),
    "a python fence": ('```python\n{"tool": "x"}\n```', [X]),
    "prose and a fence": ('Let me look.\n```json\n{"tool": "x"}\n```\nThen we see.', [X]),
    "two fences": ('```\n{"tool": "x"}\n```\nand\n```\n{"tool": "y"}\n```', [X, Y]),
    "prose before": (
        'I will call it: {"tool": "x", "args": {"a": {"b": {"c": [1]}}}}',
        [("x", {"a": {"b": {"c": [1]}}})],
    ),
    "braces in strings": (
        'Now {"tool": "x", "args": {"code": "if (a) { b(\\"}\\"); }"}}',
        [("x", {"code": 'if (a) { b("}"); }'})],
    ),
    "a fence in a string": (
        '{"tool": "x", "args": {"md": "```json\\n{}\\n```"}}',
        [("x", {"md": "```json\n{}\n```"})],
    ),
    "a list": ('[{"tool": "x"}, {"tool": "y"}]', [X, Y]),
    "a list of one": ('[{"tool": "x"}]', [X]),
    "lines": ('{"tool": "x"}\n{"tool": "y"}', [X, Y]),
    "side by side": ('{"tool": "x"}{"tool": "y"}', [X, Y]),
    "a tools object": ('{"tools": [{"tool": "x"}, {"tool": "y"}]}', [X, Y]),
    "a tools object in prose": ('Both: {"tools": [{"tool": "x"}, {"tool": "y"}]}', [X, Y]),
    "a tools object with other data": ('{"tools": [{"note": 1}, 5, {"tool": "y"}]}', [Y]),
    "name and arguments": ('{"name": "x", "arguments": {"a": 1}}', [("x", {"a": 1})]),
    "arguments as JSON text": ('{"name": "x", "arguments": "{\\"a\\": [1]}"}', [("x", {"a": [1]})]),
    "tool and arguments": ('{"tool": "x", "arguments": {"a": 1}}', [("x", {"a": 1})]),
    "a tag around": ('<tool_call>\n{"name": "x", "arguments": {}}\n</tool_call>', [X]),
    "a thought before": ('<think>maybe {"tool": "bad"}?</think>{"tool": "x"}', [X]),
    "a thought in capitals": ('<THINK>{"tool": "bad"}</Think> {"tool": "x"}', [X]),
    "a thinking block": ('<thinking>{"tool": "bad"}</thinking>\n{"tool": "x"}', [X]),
    "a thought that began in the prompt": ('so {"tool": "bad"} </think> {"tool": "x"}', [X]),
    "a thought with a brace left open": ('<think> { </think> {"tool": "x"}', [X]),
    "a think tag in a string": ('{"tool": "x", "args": {"t": "</think>"}}', [("x", {"t": "</think>"})]),
    "other JSON beside it": ('Given {"a": 1} I choose {"tool": "x"}', [X]),
    "code beside it": ('void f() { return; } so {"tool": "x"}', [X]),
    "an open brace in prose and two calls": ('a { {"tool": "x"} and {"tool": "y"}', [X, Y]),
    "a call in braces, in a thought": ('so { {"tool": "bad"} </think> } {"tool": "x"}', [X]),
    "a broken object beside it": ('{"a": 1,} and {"tool": "x"}', [X]),
    "a brace too many": ('{"tool": "x"}}', [X]),
    "an open brace in prose": ('a { here, then {"tool": "x"}', [X]),
    "ids are not ours to keep": ('{"tool": "x", "id": "7", "call_id": "8"}', [X]),
    "a call after a call in another way": (
        '<invoke name="y"><parameter name="a">1</parameter></invoke> {"tool": "x"}',
        [X],
    ),
    "a thought of another way": ('<think><invoke name="y"></think> {"tool": "x"}', [X]),
    "a tag around each": (
        '<function>{"name": "x", "arguments": {}}</function><function>{"tool": "y"}</function>',
        [X, Y],
    ),
    "beyond ASCII": (
        '{"tool": "x", "args": {"q": "日本 🎉 \\u00e9 \\ud83c\\udf89"}}',
        [("x", {"q": "日本 🎉 é 🎉"})],
    ),
}


@pytest.mark.parametrize(("reply", "calls"), FINDS.values(), ids=FINDS)
def test_PA_05_finds(reply, calls):
    assert found(reply) == calls


NOTHING = {
    "nothing": "",
    "None": None,
    "prose": "I would rather not.",
    "data": '{"foo": 1}',
    "a call inside data": '{"answer": {"tool": "x", "args": {}}}',
    "an empty tools list": '{"tools": []}',
    "tools that are text": '{"tools": "x"}',
    "cut short": '{"tool": "x", "args": {"a": 1',
    "single quotes": "{'tool': 'x'}",
    "a trailing comma": '{"tool": "x",}',
    "a raw newline in a string": '{"tool": "x", "args": {"a": "1\n2"}}',
    "a name without arguments": '{"name": "x"}',
    "a call in code": 'f() { {"tool": "x"} }',
    "one call in code and one beside it": '{ data: {"tool": "x"} } {"tool": "y"}',
    "a call and a list of calls in one": '{"tool": "x", "tools": [{"tool": "y"}]}',
    "a broken call beside a good one": '{"tool": "x", "args": {"a": oops}} then {"tool": "y"}',
    "a thought that never ends": '<think>{"tool": "x"}',
    "JSON text of a call": '"{\\"tool\\": \\"x\\"}"',
}


IN_ANOTHER_WAY = {
    "a parameter": '<invoke name="note"><parameter name="text">{"tool": "x"}</parameter></invoke>',
    "a parameter of a namespace": 'Ok.\n<a:invoke name="note">\n<a:parameter name="t">see {"tool": "x"}',
    "beside a parameter": '<invoke name="note"><parameter name="a">1</parameter>{"tool": "x"}</invoke>',
    "a function": '<function=note>{"tool": "x", "args": {}}</function>',
    "a parameter of a function": '<function=note><parameter=text>\n[{"tool": "x"}]\n</parameter></function>',
    "an argument": '<tool_call>note<arg_key>t</arg_key><arg_value>{"tool": "x"}</arg_value></tool_call>',
    "arguments behind a mark": 'note:0<|tool_call_argument_begin|>{"tool": "x"}<|tool_call_end|>',
    "an input": 'Action: note\nAction Input: {"tool": "x", "args": {}}',
}


@pytest.mark.parametrize("reply", IN_ANOTHER_WAY.values(), ids=IN_ANOTHER_WAY)
def test_PA_04_arguments_of_a_call_that_is_written_in_another_way_are_no_call(reply):
    assert found(reply) == []
    assert parse_tool_call(reply) is None


@pytest.mark.parametrize("reply", NOTHING.values(), ids=NOTHING)
def test_finds_nothing_in(reply):
    assert found(reply) == []
    assert parse_tool_call(reply) is None


WRONG_TYPES = {
    "tool is true": '{"tool": true}',
    "tool is a number": '{"tool": 5}',
    "tool is null": '{"tool": null}',
    "tool is a list": '{"tool": ["x"]}',
    "tool is empty": '{"tool": ""}',
    "args are text": '{"tool": "x", "args": "a=1"}',
    "args are JSON text": '{"tool": "x", "args": "{}"}',
    "args are a list": '{"tool": "x", "args": [1]}',
    "args are null": '{"tool": "x", "args": null}',
    "name is a number": '{"name": 5, "arguments": {}}',
    "arguments are a list": '{"name": "x", "arguments": "[1]"}',
    "arguments are broken": '{"name": "x", "arguments": "{"}',
}


@pytest.mark.parametrize("reply", WRONG_TYPES.values(), ids=WRONG_TYPES)
@pytest.mark.parametrize(
    "around", ["{}", "so {}.", '{{"tool": "x"}} {}', '{{"tools": [{{"tool": "y"}}, {}]}}']
)
def test_PA_03_a_wrong_type_is_no_call(reply, around):
    assert found(around.format(reply)) == []


UNSTORABLE = {
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "a float out of range": "1e999",
    "an integer of 400 digits": "9" * 400,
    "an integer of 5,000 digits": "9" * 5000,
    "an unpaired surrogate": '"\\ud800"',
    "a surrogate as a key": '{"\\udfff": 1}',
    "a raw surrogate": '"\ud800"',
    "201 levels": "[" * 201 + "]" * 201,
    "100,000 levels": "[" * 100_000 + "]" * 100_000,
}


@pytest.mark.parametrize("value", UNSTORABLE.values(), ids=UNSTORABLE)
@pytest.mark.parametrize("around", ["%s", "so %s.", '[{"tool": "y"}, %s]'])
def test_PA_07_what_cannot_be_stored_is_refused(value, around):
    assert found(around % f'{{"tool": "x", "args": {{"a": {value}}}}}') == []


def test_200_levels_are_read():
    value = json.loads("[" * 200 + "]" * 200)
    assert found(json.dumps({"tool": "x", "args": {"a": value}})) == [("x", {"a": value})]


BROKEN_OUTSIDE = {
    "a bare word": '{"tool": "w", "args": {"x": oops, "data": {"tool": "bad", "args": {}}}}',
    "single quotes": "{'tool': 'w', 'args': {\"tool\": \"bad\", \"args\": {}}}",
    "unquoted keys": '{tool: "w", args: {"tool": "bad", "args": {}}}',
    "unquoted keys, cut short": '{tool: "w", args: {"tool": "bad", "args": {}}',
    "the first brace lost": '"tool": "w", "args": {"tool": "bad", "args": {}}}',
    "cut short": '{"tool": "w", "args": {"x": {"tool": "bad", "args": {}}',
    "a newline in a string": '{"tool": "w", "args": {"text": "one\n{"tool": "bad"}"}}',
    "an unescaped quote": '{"tool": "w", "args": {"text": "say "{"tool": "bad"}""}}',
    "a comma too many": '{"tool": "w", "args": {"a": 1,, "x": {"tool": "bad"}}}',
    "broken further in": '{"a": {"b": oops } {"tool": "bad"} }',
    "broken further in, after a brace in a string": '{"a": {"b": "}", "c": oops } {"tool": "bad"} }',
    "doubled braces": '{{"tool": "w", "args": {{"x": {"tool": "bad"}}}}}',
}


@pytest.mark.parametrize("reply", BROKEN_OUTSIDE.values(), ids=BROKEN_OUTSIDE)
def test_PA_04_a_broken_call_does_not_give_up_its_inside(reply):
    assert found(reply) == []
    assert found(f"Well: {reply} Done.") == []


names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"))
)
values = st.recursive(
    scalars, lambda one: st.lists(one) | st.dictionaries(st.text(max_size=5), one), max_leaves=5
)
arguments = st.dictionaries(names, values, max_size=4)
calls = st.builds(lambda name, args: {"tool": name, "args": args}, names, arguments)
prose = st.text(st.characters(codec="utf-8", exclude_characters="{}<\"'"), max_size=30)
chaos = st.text(st.sampled_from('{}[]",:\\ntolsa<>/think`\n 1-.eE\ud800é'), max_size=80)


def written(call, draw_ascii=False):
    return json.dumps(call, ensure_ascii=draw_ascii)


@given(calls, prose, prose, st.booleans(), st.sampled_from(["{}", "```json\n{}\n```", "```\n{}\n```"]))
def test_PA_05_a_call_in_prose_is_found_as_it_is(call, before, after, ascii_only, fence):
    reply = before + fence.replace("{}", written(call, ascii_only)) + after
    expected = [] if before.rstrip().endswith(("':", '":')) else [(call["tool"], call["args"])]
    assert found(reply) == expected


@settings(max_examples=25)
@given(st.lists(calls, max_size=5), st.sampled_from(["lines", "list", "fences", "tools", "prose"]))
def test_PA_06_n_calls_are_n_calls(several, style):
    texts = [written(call) for call in several]
    reply = {
        "lines": "\n".join(texts),
        "list": f"[{', '.join(texts)}]",
        "fences": "\n".join(f"```json\n{text}\n```" for text in texts),
        "tools": '{"tools": [' + ", ".join(texts) + "]}",
        "prose": "".join(f"Then {text} and " for text in texts),
    }[style]
    assert found(reply) == [(call["tool"], call["args"]) for call in several]


@settings(max_examples=25)
@given(st.lists(calls, min_size=1, max_size=4), st.data())
def test_PA_06_with_one_damaged_there_are_all_or_none(several, data):
    texts = [written(call) for call in several]
    which = data.draw(st.integers(0, len(texts) - 1))
    place = data.draw(st.integers(1, len(texts[which]) - 2))
    damaged = (
        texts[which][:place]
        + data.draw(st.sampled_from(["", "{", "}", '"', "NaN", "\x00"]))
        + texts[which][place + 1 :]
    )
    reply = "\n".join([*texts[:which], damaged, *texts[which + 1 :]])
    names_found = [name for name, _ in found(reply)]
    whole = [call["tool"] for number, call in enumerate(several) if number != which]
    # The damage may leave a call with other arguments, or data: its neighbours all stay, or none does.
    assert names_found == [] or [n for n in whole if n in names_found] == whole


@given(
    prose,
    prose,
    st.integers(0, 200),
    st.sampled_from(["", "{", "}", '"', "'", ",", ":", "x", "\n", "[", "]"]),
    st.data(),
)
def test_PA_04_a_nested_call_never_surfaces(before, after, place, damage, data):
    inner = {"tool": "bad", "args": data.draw(arguments)}
    around = data.draw(
        st.sampled_from([inner, {"x": inner}, {"x": [1, inner]}, {"a": "b", "y": {"z": inner}}])
    )
    outer = written({"tool": "outer", "args": around, "reasoning": "why"})
    place %= outer.index('"bad"') - len('{"tool": ')  # damage what is around it, not the inner call
    reply = before + outer[:place] + damage + outer[place + 1 :] + after
    assert "bad" not in [name for name, _ in found(reply)]


@given(
    st.one_of(
        chaos,
        st.text(),
        st.lists(st.dictionaries(st.text(), st.text() | st.none())),
        st.none(),
        st.integers(),
    )
)
@example([{"type": "text", "text": None}])
@example([{"type": "tool_use", "name": "x", "input": {"a": float("nan")}}])
def test_PA_01_never_raises(raw):
    for call in parse_multi_tool_calls(raw):
        assert isinstance(call.tool, str)
        assert plain(call.args)
    parse_tool_call(raw)
    parse_native_tool_use(raw)
    to_text(raw)
    if isinstance(raw, str):
        contract_call(raw, {"x"})


@given(chaos)
def test_every_call_found_is_written_in_the_text(text):
    for name, _ in found(text):
        assert name in text


ADVERSARIAL = {
    "open braces": "{",
    "open braces and quotes": '{"',
    "nested objects": '{"a":',
    "siblings that never close": '{"a":1,',
    "open brackets": "[",
    "closing braces": "}",
    "empty objects": "{}",
    "broken objects": '{"a":1,}',
    "thoughts": "<think>",
    "escaped quotes": '{"\\"',
    "long tags": "<think      ",
    "calls": '{"tool":"x"}',
    "deep and broken": '{"a":' * 100 + "x ",
}


@pytest.mark.parametrize("unit", ADVERSARIAL.values(), ids=ADVERSARIAL)
def test_PA_02_long_texts_end(unit):
    # Quadratic work on a text this long takes a minute; the time itself is measured in the benchmark.
    reply = unit * (60_000 // len(unit))
    calls = parse_multi_tool_calls(reply)
    assert len(calls) == (reply.count("tool") if "tool" in unit else 0)


def test_theory_and_reasoning_stay_with_the_call():
    [call] = parse_multi_tool_calls('{"tool": "x", "reasoning": "why", "theory": "T1"}')
    assert (call.reasoning, call.args) == ("why", {"__theory__": "T1"})


def test_the_reasoning_of_a_tools_object_is_every_calls_own_or_the_common_one():
    reply = '{"reasoning": "all", "theory": "T", "tools": [{"tool": "x", "reasoning": "one"}, {"tool": "y"}]}'
    calls = parse_multi_tool_calls(reply)
    assert [(c.reasoning, c.args) for c in calls] == [
        ("one", {"__theory__": "T"}),
        ("all", {"__theory__": "T"}),
    ]


@pytest.mark.parametrize("given", ["null", "5", "[]"])
def test_reasoning_that_is_no_text_is_none(given):
    [call] = parse_multi_tool_calls(f'{{"tool": "x", "reasoning": {given}, "theory": {given}}}')
    assert (call.reasoning, call.args) == ("", {})


def test_every_call_has_an_id_of_its_own():
    ids = {call.call_id for call in parse_multi_tool_calls('{"tool": "x"} {"tool": "x"}')}
    assert len(ids) == 2
    assert all(len(one) == 12 for one in ids)


def test_one_call_is_wanted_and_two_are_none():
    assert parse_tool_call('so {"tool": "x"}').tool == "x"
    assert parse_tool_call('{"tool": "x"} {"tool": "y"}') is None
    assert parse_tool_call('{"tools": [{"tool": "x"}]}') is None


def test_the_text_of_blocks_is_joined():
    blocks = [
        {"type": "text", "text": '{"tool"'},
        {"type": "tool_use", "name": "y"},
        {"type": "text", "text": ': "x"}'},
    ]
    assert to_text(blocks) == '{"tool": "x"}'
    assert found(blocks) == [X]


NATIVE = {
    "one": ([{"type": "tool_use", "id": "a", "name": "x", "input": {"q": 1}}], [("x", {"q": 1}, "a")]),
    "no input": ([{"type": "tool_use", "id": "a", "name": "x"}], [("x", {}, "a")]),
    "no id": ([{"type": "tool_use", "name": "x", "input": {}}], [("x", {}, "")]),
    "text between": ([{"type": "text", "text": "hm"}, {"type": "tool_use", "name": "x"}], [("x", {}, "")]),
    "input is text": ([{"type": "tool_use", "name": "x", "input": "{}"}], []),
    "input is a list": ([{"type": "tool_use", "name": "x", "input": [1]}], []),
    "no name": ([{"type": "tool_use", "name": "", "input": {}}], []),
    "name is a number": ([{"type": "tool_use", "name": 5, "input": {}}], []),
    "input is NaN": ([{"type": "tool_use", "name": "x", "input": {"a": float("nan")}}], []),
    "one of two is broken": (
        [{"type": "tool_use", "name": "x"}, {"type": "tool_use", "name": "x", "input": 1}],
        [],
    ),
    "not a block": (["tool_use", None], []),
}


@pytest.mark.parametrize(("blocks", "calls"), NATIVE.values(), ids=NATIVE)
def test_native_blocks(blocks, calls):
    assert [(c.tool, c.args, c.call_id) for c in parse_native_tool_use(blocks)] == calls


def test_native_arguments_are_a_copy():
    block = {"type": "tool_use", "name": "x", "input": {"a": 1}}
    native_call(block).args["a"] = 2
    assert block["input"] == {"a": 1}


CONTRACT_CALLS = {
    "a call": ('{"tool": "x", "args": {"a": 1}}', True),
    "a call in a fence": ('```json\n{"tool": "x"}\n```', True),
    "a call of another tool": ('{"tool": "z"}', False),
    "prose around": ('So: {"tool": "x"}', False),
    "two calls": ('{"tool": "x"} {"tool": "x"}', False),
    "a list": ('[{"tool": "x"}]', False),
    "the other spelling": ('{"name": "x", "arguments": {}}', False),
    "an answer in JSON": ('{"answer": "x"}', False),
    "an answer": ("x", False),
    "wrong args": ('{"tool": "x", "args": "a"}', False),
    "broken": ('{"tool": "x"', False),
}


@pytest.mark.parametrize("key", ["args", "arguments"])
def test_PA_05_a_call_as_a_whole_keeps_its_arguments(key):
    call = contract_call(f'{{"tool": "x", "{key}": {{"a": 1}}}}', {"x"})
    assert call is not None
    assert call.args == {"a": 1}


@pytest.mark.parametrize(("text", "is_call"), CONTRACT_CALLS.values(), ids=CONTRACT_CALLS)
def test_a_text_that_is_a_call_as_a_whole(text, is_call):
    call = contract_call(text, {"x", "y"})
    assert (call is not None) == is_call
