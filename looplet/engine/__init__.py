"""The engine decides what a run does next; it does no I/O and knows no feature by name."""
