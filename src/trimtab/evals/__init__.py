"""Evaluations: datasets, scorers, the runner that applies them to a version, and the gate."""
