"""Descriptor Transformer: learn how recordings move, and continue one in new sound."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Atlas": "explore",
    "AudioReference": "database",
    "Continuer": "pipeline",
    "Corpus": "corpus",
    "DescError": "errors",
    "DescriptorConfig": "descriptors.config",
    "DescriptorDatabase": "database",
    "DescriptorSequence": "descriptors.sequence",
    "DescriptorStore": "storage",
    "ExploreServer": "explore",
    "Matches": "query",
    "ModelConfig": "configuration",
    "Playlist": "concatenation",
    "PredictConfig": "configuration",
    "Prediction": "prediction",
    "Predictor": "prediction",
    "QueryConfig": "configuration",
    "RenderConfig": "configuration",
    "RunConfig": "configuration",
    "RunRecord": "runs",
    "Selection": "query",
    "SelectionConfig": "configuration",
    "Standardizer": "descriptors.standardizer",
    "TrainConfig": "configuration",
    "audio_sampler": "pipeline",
    "export_playlist": "playlist_formats",
    "extract": "descriptors.extraction",
    "nearest": "query",
    "open_corpus": "corpus",
    "relocated": "concatenation",
    "render": "concatenation",
    "resolve_run": "runs",
    "select": "query",
    "select_nearest": "query",
    "select_path": "query",
    "select_units": "query",
    "train": "training.fit",
    "write_result_report": "report",
    "write_run_report": "report.run_page",
}
__all__ = sorted(_PUBLIC)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import desc` itself loads nothing."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'desc' has no attribute {name!r}")
    return getattr(importlib.import_module(f"desc.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
