"""The simulated provider, and the traffic of the demo: processes to try trimtab with."""
