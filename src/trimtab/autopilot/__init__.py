"""The autopilot: it watches running plans by their evidence and moves them."""
