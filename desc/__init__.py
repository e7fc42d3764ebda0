"""Descriptor Transformer: learn how recordings move, and continue one in new sound."""

from __future__ import annotations

import importlib
import os
from typing import Any

__version__ = "0.1.0"

# Waiting threads of torch sleep instead of spinning: on a busy machine two spinning threads cost
# eight times the processor time of one. The variable is read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_PUBLIC = {
    "Atlas": "studio",
    "AudioClip": "audio",
    "AudioReference": "database",
    "Console": "commands.console",
    "Continuer": "pipeline",
    "Corpus": "corpus",
    "DescError": "errors",
    "DescriptorConfig": "descriptors.config",
    "DescriptorDatabase": "database",
    "DescriptorModel": "models.base",
    "DescriptorSequence": "descriptors.sequence",
    "DescriptorStore": "storage",
    "EvaluateConfig": "evaluation.settings",
    "ExportConfig": "playlist_formats",
    "FlowConfig": "soundgen.settings",
    "FlowTraining": "soundgen.settings",
    "GenerateConfig": "soundgen.settings",
    "LiveConfig": "configuration",
    "LocalServer": "studio",
    "MODELS": "models",
    "MapRoom": "studio",
    "MasterConfig": "configuration",
    "Match": "matching",
    "Matcher": "matching",
    "MelConfig": "soundgen.settings",
    "MelGenerator": "soundgen.mel_generator",
    "ModelConfig": "configuration",
    "Neighbours": "matching",
    "Playlist": "concatenation",
    "PredictConfig": "configuration",
    "Prediction": "prediction",
    "Predictor": "prediction",
    "QueryConfig": "configuration",
    "RenderConfig": "configuration",
    "Result": "continuing",
    "ResultView": "report",
    "RunConfig": "configuration",
    "RunRecord": "runs",
    "RunView": "report.run",
    "Sampling": "configuration",
    "SelectionConfig": "configuration",
    "SoundRecord": "runs",
    "Standardizer": "descriptors.standardizer",
    "Stream": "live",
    "StudioRoom": "studio",
    "Take": "takes",
    "TrainConfig": "configuration",
    "UnaganConfig": "soundgen.settings",
    "UnaganTraining": "soundgen.settings",
    "Unit": "matching",
    "Vocoder": "soundgen.vocoder",
    "VocoderConfig": "soundgen.settings",
    "VocoderTraining": "soundgen.settings",
    "audio_sampler": "pipeline",
    "choose_device": "devices",
    "continue_recording": "continuing",
    "evaluate": "evaluation.evaluate",
    "export_playlist": "playlist_formats",
    "extract": "descriptors.extraction",
    "find_music_end": "corpus.ending",
    "generate_from_runs": "soundgen.generation",
    "list_runs": "runs",
    "list_takes": "takes",
    "open_corpus": "corpus",
    "open_recordings": "soundgen.recordings",
    "plot_result": "report.plots",
    "plot_run": "report.plots",
    "preset": "soundgen.presets",
    "read_playlist": "playlist_formats",
    "register_descriptor": "descriptors.features",
    "relocated": "concatenation",
    "render": "concatenation",
    "render_to_file": "concatenation",
    "resolve_run": "runs",
    "train": "training.fit",
    "train_flow": "soundgen.jobs",
    "train_unagan": "soundgen.jobs",
    "train_vocoder": "soundgen.jobs",
    "upload_run": "runs",
    "versions": "runs",
    "with_tempo": "corpus",
    "with_variants": "corpus",
    "write_corpus": "demo.corpus",
    "write_result_report": "report",
    "write_run_report": "report.run",
}
__all__ = sorted(_PUBLIC)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import desc` itself loads nothing."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'desc' has no attribute {name!r}")
    return getattr(importlib.import_module(f"desc.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return ["__version__", *__all__]
