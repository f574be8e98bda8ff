"""Agents to run and to read: `python -m looplet.examples.hello_world`."""
