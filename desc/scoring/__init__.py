"""Excerpts, reference scales and metrics that training and evaluation share."""
