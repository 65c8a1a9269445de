"""What each promise of speed costs, measured as ratios."""
