"""A recorded test: the model's side is in `cassettes/`, the tool runs for real.

pytest examples/05_cassette_test                     # offline, no key
python examples/record.py examples/05_cassette_test  # record again, with a pretend model
"""

from looplet import tool
from pytest_looplet import expect


@tool
def temperature(city: str) -> dict:
    """The temperature in a city, in degrees Celsius."""
    return {"city": city, "celsius": 21}


def test_it_looks_and_tells(looplet_run):
    run = looplet_run("How warm is it in Rome?", tools=[temperature])
    expect(run).to_call("temperature", city="Rome", times=1)
    expect(run).to_finish().to_stay_within(steps=2)
    assert "21" in run.final_output["answer"]
