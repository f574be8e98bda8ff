"""Record the cassettes of the numbered examples again, with a pretend model: no key, no cost.

python examples/record.py examples/05_cassette_test
"""

import os
import subprocess
import sys

from looplet.testing import call
from looplet.testing.provider import LocalProvider, by_task

MODEL = {
    "warm is it in Rome": [call("temperature", city="Rome"), "It is 21 degrees in Rome."],
    "cat in Italian": [call("look_up", word="cat"), "A cat is a gatto."],
    "milk in Italian": [call("look_up", word="milk"), "Milk is latte."],
    "teapots are left": [call("stock", item="teapot"), "There are 3 teapots left."],
}
"""What the pretend model does, by a text of the task."""


def main(arguments: list[str]) -> int:
    with LocalProvider(by_task(MODEL)) as provider:
        command = [sys.executable, "-m", "pytest", "--looplet-record", *arguments]
        done = subprocess.run(command, env=os.environ | provider.env, check=False)
    for failure in provider.failures:
        print(f"the pretend model could not answer: {failure}", file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
