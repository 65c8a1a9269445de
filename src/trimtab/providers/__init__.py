"""The model providers: calling them, and what their calls cost."""
