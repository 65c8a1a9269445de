"""What is measured of a prompt's traffic, and how an experiment is read."""
