"""Statistics from sums: sequential tests, intervals, quantiles and power; pure functions."""
