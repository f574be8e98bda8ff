"""Prices, and a budget that no call passes."""

import textwrap

import openai  # noqa: F401 - loading it takes longer than a test
import pytest

# Loaded here once, because an inner session forgets what it loaded, and YAML's C part does not.
import pytest_looplet.provider
import pytest_looplet.run
import pytest_looplet.tapes  # noqa: F401
from looplet.testing import call
from looplet.testing.provider import LocalProvider
from looplet.types import ModelPrice
from pytest_looplet.cassette.exchange import Reply
from pytest_looplet.cassette.meter import usage_in
from pytest_looplet.pricing import read_pricing

pytestmark = pytest.mark.slow

ANSWER = call("done", answer="yes")
PRICES = "tiny = {input = 1000, output = 2000}"
RUNS = """
import pytest

@pytest.mark.parametrize("n", range(4))
def test_it(looplet_run, n):
    run = looplet_run(f"task {n}", max_tokens=10)
    usage = run.usage
    assert run.cost_usd == (usage.input_tokens * 1000 + usage.output_tokens * 2000) / 1e6
"""
HIDES = """
import openai

def test_it(looplet_cassette):
    with openai.OpenAI() as client:
        try:
            client.chat.completions.create(model="tiny", max_tokens=10**6,
                                           messages=[{"role": "user", "content": "x"}])
        except Exception:
            pass
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Run pytest on a file against a provider; gives the result and how often the provider was asked."""
    monkeypatch.delenv("CI", raising=False)

    def go(source, *options, replies=8):
        pytester.makepyfile(test_a=textwrap.dedent(source))
        with LocalProvider([ANSWER] * replies) as provider, pytest.MonkeyPatch.context() as patch:
            for name, value in provider.env.items():
                patch.setenv(name, value)
            result = pytester.runpytest(
                "-p", "no:asyncio", "-o", f"looplet_pricing={PRICES}", "--looplet-model=openai:tiny", *options
            )
        return result, len(provider.requests)

    return go


@pytest.mark.parametrize("how", ["--looplet-record", "--looplet-live"])
def test_a_run_has_its_cost_and_what_was_spent_is_told(run, how):
    result, asked = run(RUNS, how, "--looplet-budget=100")
    result.assert_outcomes(passed=4)
    assert asked == 4
    result.stdout.re_match_lines([r"looplet: \$\d\.\d{4} of \$100 spent"])
    assert "$0.0000" not in result.stdout.str()


@pytest.mark.parametrize("how", ["--looplet-record", "--looplet-live"])
def test_the_call_that_could_pass_the_budget_is_not_made(run, how):
    result, asked = run(HIDES, how, "--looplet-budget=5")
    assert asked == 0
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*--looplet-budget=5: $0.0000 is spent or set aside*up to $200*not made*"])
    assert "looplet: $0.0000 of $5 spent" in result.outlines


def test_what_was_set_aside_and_not_spent_is_there_for_the_next(run):
    result, asked = run(RUNS, "--looplet-record", "--looplet-budget=2.2")
    passed = result.parseoutcomes().get("passed", 0)
    assert 1 <= passed == asked  # each sets more than a dollar aside for its bytes, and spends less
    spent = next(line for line in result.outlines if line.startswith("looplet: $")).split("$")[1].split()[0]
    assert 0 < float(spent) <= 2.2


def test_workers_of_xdist_have_one_budget(run):
    result, asked = run(HIDES.replace("10**6", "10").replace("def test_it(", "import pytest\n"
        "@pytest.mark.parametrize('n', range(6))\ndef test_it(n, "), "--looplet-record",
        "--looplet-budget=0.4", "-n", "2", replies=6)  # fmt: skip
    spent = next(line for line in result.outlines if line.startswith("looplet: $")).split("$")[1].split()[0]
    assert 0 < asked < 6
    assert 0 < float(spent) <= 0.4
    assert result.parseoutcomes()["failed"] == 6 - asked


def test_a_replay_costs_nothing(run):
    run(RUNS, "--looplet-record")
    result, asked = run(RUNS, "--looplet-budget=0.0001")
    result.assert_outcomes(passed=4)
    assert asked == 0


def test_a_model_without_a_price_is_not_called(run):
    result, asked = run(HIDES.replace('"tiny"', '"huge"'), "--looplet-record", "--looplet-budget=5")
    assert asked == 0
    result.stdout.fnmatch_lines(["*the price of huge is not known; add it to looplet_pricing*"])


@pytest.mark.parametrize("budget", ["0", "-1", "nan", "inf"])
def test_a_budget_that_is_none(run, budget):
    result, _ = run(RUNS, f"--looplet-budget={budget}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_a_budget_needs_prices(pytester):
    result = pytester.runpytest("--looplet-budget=1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--looplet-budget needs prices: set looplet_pricing" in result.stderr.str()


def test_prices_from_a_file_or_text(tmp_path):
    text = '["gpt-4o-mini"]\ninput = 0.15\ncached = 0.075\noutput = 0.6\n'
    (tmp_path / "prices.toml").write_text(text)
    for prices in (read_pricing("prices.toml", tmp_path), read_pricing(text, tmp_path)):
        mini = ModelPrice(0.15, 0.6, 0.075)
        assert dict(prices) == {"gpt-4o-mini": mini}
        assert prices["gpt-4o-mini-2024-07-18"] == mini
        assert prices.get("gpt-4o") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("none.toml", "No such file"),
        ("a = 1", '"a" needs input and output'),
        ("gpt-4.1 = {input = 1, output = 1}", "quote a name that has a dot"),
        ("a = {input = 1}", '"a" needs input and output'),
        ("a = {input = -1, output = 1}", '"a" needs'),
        ("a = {input = inf, output = 1}", '"a" needs'),
        ("a = {input = true, output = 1}", '"a" needs'),
        ("a = {input = 1, output = 1, out = 1}", '"a" needs'),
        ("a = ", "looplet_pricing: "),
    ],
)
def test_other_text_is_a_usage_error(tmp_path, text, told):
    with pytest.raises(pytest.UsageError, match=r"looplet_pricing") as caught:
        read_pricing(text, tmp_path)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("body", "counted"),
    [
        (b'{"usage":{"prompt_tokens":7,"completion_tokens":2}}', (7, 2)),
        (b'{"usage":{"input_tokens":7,"cache_read_input_tokens":100,"output_tokens":2}}', (107, 2)),
        (
            b'data: {"usage":{"input_tokens":7,"output_tokens":1}}\n\ndata: {"usage":{"output_tokens":9}}',
            (7, 9),
        ),
    ],
    ids=["openai", "anthropic with a cache", "anthropic stream"],
)
def test_what_a_reply_says_of_its_tokens(body, counted):
    usage = usage_in(Reply(200, body=body))
    assert (usage.input_tokens, usage.output_tokens) == counted
    assert usage_in(Reply(200, body=b"{}")) is None
