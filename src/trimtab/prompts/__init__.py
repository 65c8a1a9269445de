"""Prompt files, the identity of a version, and rendering it: pure."""
