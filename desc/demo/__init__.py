"""Demos on a synthetic corpus: the main workflow, and sound generation."""
