"""Record the cassettes of this folder again, with a pretend model on 127.0.0.1: no key, no cost.

    python examples/support_agent/record.py                          # all of them
    python examples/support_agent/record.py -k over-the-limit        # one; what follows is for pytest

With a real model instead: OPENAI_API_KEY=... pytest --looplet-record examples/support_agent
"""

import os
import subprocess
import sys
from pathlib import Path

from looplet.testing import call
from looplet.testing.provider import LocalProvider, by_task

MODEL = {
    "order 1234": [
        call("lookup_order", order_id="1234"),
        call("check_policy", reason="damaged"),
        call("issue_refund", order_id="1234", amount=40.0),
        call("done", answer="I am sorry about the teapot. I refunded 40.00 for it."),
    ],
    "Order 1400": [
        call("lookup_order", order_id="1400"),
        call("check_policy", reason="incomplete"),
        call("issue_refund", order_id="1400", amount=10.0),
        call("done", answer="I am sorry that a cup is missing. I refunded 10.00 for it."),
    ],
    "order 1300": [
        call("lookup_order", order_id="1300"),
        call("check_policy", reason="changed_mind"),
        call("done", answer="The kettle came 90 days ago and works, so a refund has to be refused. Sorry."),
    ],
    "order 1500": [
        call("lookup_order", order_id="1500"),
        call("check_policy", reason="damaged"),
        call("issue_refund", order_id="1500", amount=499.0),
        call("escalate", order_id="1500", summary="The machine does not heat; 499.00 are to be paid back."),
        call("done", answer="I escalated this to a colleague, who answers within a day: ticket T-1500."),
    ],
    "order 9999": [
        call("lookup_order", order_id="9999"),
        call("done", answer="I find no order 9999, so I refused the refund. Please check the number."),
    ],
    "order 1600": [
        call("lookup_order", order_id="1600"),
        call("check_policy", reason="changed_mind"),
        call("done", answer="We cannot take the tray back, so the refund is refused. I am sorry."),
    ],
}
"""What the pretend model does, by a text of the customer's question."""


def main(arguments: list[str]) -> int:
    here = Path(__file__).parent
    with LocalProvider(by_task(MODEL)) as provider:
        command = [sys.executable, "-m", "pytest", "--looplet-record", *arguments]
        done = subprocess.run(command, cwd=here, env=os.environ | provider.env, check=False)
    for failure in provider.failures:
        print(f"the pretend model could not answer: {failure}", file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
