"""Evals as pytest items: which files, which cases, one run of the agent for all evals of a case."""
