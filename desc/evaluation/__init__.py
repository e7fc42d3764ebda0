"""Comparison of runs with real music and simple baselines on held-out recordings."""
