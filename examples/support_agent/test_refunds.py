"""Plain pytest tests of the agent: one run each, and what must be true of it."""

import support_agent

from pytest_looplet import expect


def ask(looplet_run, task):
    return looplet_run(
        task, tools=support_agent.TOOLS, hooks=support_agent.hooks(), config=support_agent.config()
    )


def test_refund_looks_before_it_pays(looplet_run):
    run = ask(looplet_run, "My teapot from order 1234 came broken. I want my money back.")
    expect(run).to_call_in_order("lookup_order", "check_policy", "issue_refund")
    expect(run).to_call("issue_refund", order_id="1234", amount=40.0)
    expect(run).not_to_call("escalate")
    expect(run).to_finish()
    assert "refunded" in run.final_output["answer"]


def test_a_large_refund_is_stopped_by_the_rule_and_escalated(looplet_run):
    run = ask(looplet_run, "The espresso machine of order 1500 does not heat. Please refund it.")
    expect(run).to_call_in_order("issue_refund", "escalate")
    refused = next(step for step in run.steps if step.tool_call.tool == "issue_refund")
    assert "for a colleague" in refused.tool_result.error
    expect(run).to_finish()
