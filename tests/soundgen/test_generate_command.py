"""`desc generate` from the command line, up to `desc predict` with the generated folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import soundfile

from desc.commands.main import main
from desc.configuration import RunConfig
from desc.runs import SoundRecord, resolve_record
from desc.soundgen.presets import preset
from desc.soundgen.settings import MelConfig, VocoderTraining

Captured = pytest.CaptureFixture[str]
MEL = ["--sample_rate", "8000", "--n_fft", "256", "--hop_length", "64", "--n_mels", "20"]
SMALL = ["--steps", "3", "--batch_size", "2", "--save_interval", "3", "--offline"]


def run_id(printed: str) -> str:
    last = printed.strip().splitlines()[-1]
    assert re.fullmatch("run id: [a-z0-9]{8}", last)
    return last.removeprefix("run id: ")


def test_from_recordings_to_a_continuation_in_generated_sound(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESC_CACHE", str(tmp_path / "cache"))
    data = ["--audio_db_dir", str(folder)]
    words = ["generate", "train-vocoder", *data, *MEL, *SMALL, "--ratios", "8", "8", "--ngf", "2"]
    assert main([*words, "--seq_len", "2048", "--n_test_samples", "2"]) == 0
    of_sound = run_id(capsys.readouterr().out)
    assert (tmp_path / "experiments" / "melgan" / of_sound / "checkpoints" / "best.ckpt").exists()
    words = ["generate", "train-unagan", *data, "--feat_dim", "20", *MEL[:-2], *SMALL]
    words += ["--width", "8", "--seq_frames", "32", "--num_va", "2", "--vocoder_run_id", of_sound]
    assert main(words) == 0
    of_mels = run_id(capsys.readouterr().out)
    words = ["generate", "audio", "--generator_run_id", of_mels, "--vocoder_run_id", of_sound]
    words += ["--num_samples", "3", "--duration", "3", "--seed", "1", "--offline"]
    assert main(words) == 0
    assert "generated: 3 files written, 0 kept" in capsys.readouterr().out
    assert main(words) == 0
    assert "0 files written, 3 kept" in capsys.readouterr().out

    words = ["train", *data, "--epochs", "1", "--window_size", "8", "--hidden_size", "8"]
    words += ["--context_size", "8", "--jobs", "1", "--offline", "--sample_rate", "8000"]
    assert main(words) == 0
    of_descriptors = run_id(capsys.readouterr().out)
    words = ["predict", "--run_id", of_descriptors, "--prediction_db_dir", str(folder / "long.wav")]
    words += ["--audio_db_dir", "generated", "--prediction_length", "10", "--jobs", "1"]
    assert main(words) == 0
    info = soundfile.info(tmp_path / "predictions" / "long.wav" / "1" / "prediction.wav")
    assert (info.frames, info.samplerate) == (10 * 1024, 8000)
    assert main(["runs", "--project", "unagan"]) == 0
    assert of_mels in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["audio"], 2, "--generator_run_id"),
        (["audio", "--generator_run_id", " , "], 2, "must name a run"),
        (["audio", "--unagan_run_id", "nothere1", "--offline"], 1, "run nothere1 was not found"),
        (["audio", "--unagan_run_id", "a", "--num_sample", "3"], 2, "did you mean --num_samples"),
        (["train-vocoder", "--audio_db_dir", "no/folder", "--offline"], 1, "no/folder"),
        (["train-vocoder", "--audio_db_dir", "x", "--vocoder", "wavenet"], 2, "melgan, vocos"),
        (["train-unagan", "--audio_db_dir", "x", "--width", "6"], 2, "width=6 must be a multiple"),
        (["dmeo"], 2, "'dmeo' is not a task; did you mean demo?"),
    ],
)  # fmt: skip
def test_wrong_calls_are_named(
    words: list[str], status: int, message: str, capsys: Captured
) -> None:
    assert main(["generate", *words]) == status
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_ratios_that_do_not_make_a_hop_are_refused(folder: Path, capsys: Captured) -> None:
    words = ["generate", "train-vocoder", "--audio_db_dir", str(folder), *MEL, *SMALL]
    assert main([*words, "--ratios", "8", "4"]) == 1
    assert "ratios=[8, 4] multiply to 32, must be hop_length=64" in capsys.readouterr().err


@pytest.mark.parametrize("task", ["train-vocoder", "train-unagan", "audio", "demo"])
def test_every_task_has_help(task: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["generate", task, "--help"])
    assert stopped.value.code == 0
    assert f"usage: desc generate {task}" in capsys.readouterr().out


def test_the_names_of_the_earlier_notebooks_are_understood() -> None:
    from desc.commands.main import build_parser

    parser = build_parser("generate")
    values = {
        "train-vocoder": "experiment_dir resume_run_id load_from_run_id n_mel_channels ngf "
        "n_residual_layers ndf num_D n_layers_D downsamp_factor ratios lambda_feat learning_rate "
        "batch_size seq_len sampling_rate epochs log_interval save_interval n_test_samples",
        "train-unagan": "resume_run_id feat_dim z_dim num_va gamma lambda_k init_k init_lr "
        "num_epochs lambda_cycle max_grad_norm save_rate batch_size",
        "audio": "melgan_run_id duration num_samples seed output_dir channel_per_merge "
        "num_combine_audio",
    }
    for task, names in values.items():
        needed = ["--unagan_run_id", "a"] if task == "audio" else ["--audio_db_dir", "x"]
        words = [w for name in names.split() for w in (f"--{name}", "1")]
        parser.parse_args(["generate", task, *needed, *words])
    parser.parse_args(["generate", "train-vocoder", "--audio_db_dir", "x", "--pad_mode", "reflect",
                       "--notes", "a"])  # fmt: skip
    parser.parse_args(["generate", "audio", "--unagan_run_id", "a", "--randomize_seed",
                       "--random_merge_audio", "--hifigan_run_id", "b"])  # fmt: skip


def test_networks_given_one_by_one_make_a_list() -> None:
    from desc.commands.main import build_parser

    words = ["generate", "audio", "--unagan_run_id", "a", "--melgan_run_id", "b"]
    args = build_parser("generate").parse_args([*words, "--hifigan_run_id", "c"])
    assert (args.generator_run_id, args.vocoder_run_id) == (["a"], ["b", "c"])


def test_presets_of_the_spectrogram_and_of_vocos() -> None:
    from desc.commands.generate import chosen, chosen_mel
    from desc.commands.main import build_parser

    parser = build_parser("generate")
    words = ["generate", "train-vocoder", "--audio_db_dir", "x", "--vocoder", "vocos"]
    args = parser.parse_args([*words, "--mel_preset", "recommended", "--n_mels", "100"])
    assert chosen_mel(args) == MelConfig(44100, n_fft=2048, hop_length=512, n_mels=100)
    assert chosen(VocoderTraining, args) == preset(VocoderTraining, "small", of="vocos")
    args = parser.parse_args([*words, "--preset", "published", "--lambda_mel", "7"])
    assert chosen_mel(args) == MelConfig()
    training = chosen(VocoderTraining, args)
    assert (training.lambda_mel, training.learning_rate, training.seq_len) == (7, 5e-4, 16384)
    assert preset(VocoderTraining, "published") == VocoderTraining()


def test_factors_follow_from_the_hop(folder: Path, tmp_path: Path, capsys: Captured) -> None:
    words = ["generate", "train-vocoder", "--audio_db_dir", str(folder), *SMALL, "--quiet"]
    words += ["--mel_preset", "recommended", "--sample_rate", "8000", "--n_mels", "20"]
    words += ["--ngf", "2", "--n_residual_layers", "1", "--n_test_samples", "1", "--steps", "1"]
    run = RunConfig(experiment_dir=str(tmp_path))
    assert main([*words, "--experiment_dir", str(tmp_path)]) == 0
    record = resolve_record(SoundRecord, run_id(capsys.readouterr().out), run)
    assert record.model_config["ratios"] == [8, 8, 4, 2]
    assert record.mel_config["hop_length"] == 512


def test_a_preset_with_changes_keeps_what_is_none() -> None:
    chosen = preset(VocoderTraining, "small", steps=None, batch_size=3)
    assert (chosen.steps, chosen.batch_size) == (4000, 3)
    assert preset(VocoderTraining, "published", steps=None).steps is None
