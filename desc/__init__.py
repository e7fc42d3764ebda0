"""Descriptor Transformer: learn how recordings move, and continue one in new sound."""

from __future__ import annotations

__version__ = "0.1.0"
