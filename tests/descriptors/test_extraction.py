"""Extraction equals librosa's for all signals, formats and block sizes."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import pytest
import scipy.signal
import soundfile

from desc.audio import AUDIO_EXTENSIONS, read_mono_blocks
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import extract, extract_signal, loudest_band_db
from desc.descriptors.families import FAMILIES
from desc.errors import AudioError, DescError

Signal = np.ndarray
ALL = DescriptorConfig(descriptors=tuple(FAMILIES))
TOLERANCE = 1e-4
"""Of a column's standard deviation; the promise is 1e-3."""


def librosas(y: Signal, config: DescriptorConfig) -> dict[str, Signal]:
    """Columns of librosa, (T, n) for each group of the configuration that it computes."""
    rate, feature = config.sample_rate, librosa.feature
    frames = {"n_fft": config.n_fft, "hop_length": config.hop_length}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # windows longer than the signal
        mfcc = feature.mfcc(y=y, sr=rate, n_mfcc=config.n_mfcc, n_mels=config.n_mels, **frames)
        spectrum = np.abs(librosa.stft(y, **frames))
    groups = {
        "mfcc": mfcc,
        "centroid": feature.spectral_centroid(S=spectrum, sr=rate, n_fft=config.n_fft),
        "flatness": feature.spectral_flatness(S=spectrum),
        "rolloff": feature.spectral_rolloff(
            S=spectrum, sr=rate, n_fft=config.n_fft, roll_percent=0.85
        ),
        "rms": feature.rms(S=spectrum, frame_length=config.n_fft),
        "chroma": feature.chroma_stft(S=spectrum**2, sr=rate, n_fft=config.n_fft, tuning=0),
        "zero_crossing_rate": feature.zero_crossing_rate(
            y, frame_length=config.n_fft, hop_length=config.hop_length
        ),
        "bandwidth": feature.spectral_bandwidth(S=spectrum, sr=rate, n_fft=config.n_fft),
    }
    groups["tonnetz"] = feature.tonnetz(chroma=groups["chroma"])
    if "contrast" in config.groups:
        groups["contrast"] = feature.spectral_contrast(S=spectrum, sr=rate, n_fft=config.n_fft)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        groups["onset_strength"] = librosa.onset.onset_strength(
            y=y, sr=rate, n_mels=config.n_mels, **frames
        )[None]
    if mfcc.shape[1] >= 9:
        groups["delta"] = feature.delta(mfcc)
        groups["delta2"] = feature.delta(mfcc, order=2)
    return {group: columns.T for group, columns in groups.items()}


def loaded(path: Path, config: DescriptorConfig) -> Signal:
    y, _ = librosa.load(path, sr=config.sample_rate)
    return y


def assert_columns_equal(
    ours: Signal, theirs: Signal, deviation: Signal, tolerance: float = TOLERANCE
) -> None:
    assert ours.shape == theirs.shape
    largest = np.abs(ours - theirs).max(0)
    assert (largest <= tolerance * deviation).all(), largest / deviation


CASES = {  # name: (kind of signal, seconds, sample rate, channels)
    "tone": ("tone", 1.5, 44100, 1),
    "tone, 48 kHz": ("tone", 1.0, 48000, 2),
    "noise": ("noise", 2.0, 44100, 2),
    "noise, 22 kHz": ("noise", 1.0, 22050, 1),
    "chirp": ("chirp", 2.0, 44100, 1),
    "chirp, 96 kHz": ("chirp", 1.0, 96000, 1),
    "notes": ("notes", 7.0, 44100, 2),  # more than two batches of frames
    "notes, 8 kHz": ("notes", 2.0, 8000, 1),
    "silence": ("silence", 1.0, 44100, 1),
    "silence, 32 kHz": ("silence", 0.7, 32000, 2),
    "short noise": ("noise", 0.19, 44100, 1),  # nine frames
    "short tone, 16 kHz": ("tone", 0.2, 16000, 1),
}


@pytest.fixture
def golden(
    make_wav: Callable[..., Path], make_signal: Callable[..., Signal]
) -> dict[str, tuple[Path, Signal]]:
    """Every case as a WAV, and as librosa loads it."""
    result = {}
    for name, (kind, duration_s, rate, n_channels) in CASES.items():
        x = make_signal(kind, duration_s, rate)
        channels = np.stack([x, 0.3 * x[::-1]])[:n_channels]
        path = make_wav(f"{name}.wav", channels, rate, subtype="PCM_24")
        result[name] = path, loaded(path, ALL)
    return result


@pytest.mark.parametrize("top_db", [80.0, 30.0, 90.0, 120.0, None])
def test_mfcc_and_deltas_equal_librosas(
    golden: dict[str, tuple[Path, Signal]], top_db: float | None
) -> None:
    config = DescriptorConfig(top_db=top_db, descriptors=("mfcc",))
    pairs = {}
    for name, (path, y) in golden.items():
        mel = librosa.feature.melspectrogram(
            y=y, sr=config.sample_rate, n_fft=config.n_fft, hop_length=config.hop_length
        )
        mfcc = librosa.feature.mfcc(S=librosa.power_to_db(mel, top_db=top_db), n_mfcc=13)
        if top_db == 80.0:
            np.testing.assert_array_equal(mfcc.T, librosas(y, config)["mfcc"])
        delta = librosa.feature.delta
        pairs[name] = (
            extract(path, config).values,
            np.concatenate([mfcc, delta(mfcc), delta(mfcc, order=2)]).T,
        )
    deviation = np.concatenate([theirs for _, theirs in pairs.values()]).std(0)
    for ours, theirs in pairs.values():
        assert ours.dtype == np.float32
        assert_columns_equal(ours, theirs, deviation)


def test_other_families_equal_librosas(golden: dict[str, tuple[Path, Signal]]) -> None:
    expected = {name: librosas(y, ALL) for name, (_, y) in golden.items()}
    for family in set(FAMILIES) - {"mfcc", "f0"}:
        deviation = np.concatenate([groups[family] for groups in expected.values()]).std(0)
        for name, (path, _) in golden.items():
            ours = extract(path, ALL).values[:, list(ALL.groups[family])]
            assert_columns_equal(ours, expected[name][family], deviation)


def test_pitch_equals_librosas_where_voiced(golden: dict[str, tuple[Path, Signal]]) -> None:
    for path, y in golden.values():
        f0 = librosa.yin(
            y, fmin=55, fmax=2000, sr=44100, frame_length=ALL.n_fft, hop_length=ALL.hop_length
        )
        pitch, voicing = extract(path, ALL).values[:, list(ALL.groups["f0"])].T
        assert pitch.shape == f0.shape
        assert ((voicing >= 0) & (voicing <= 1)).all()
        voiced = voicing >= 0.5
        np.testing.assert_allclose(pitch[voiced], np.log2(f0[voiced]), atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"sample_rate": 22050, "hop_length": 512},
        {"hop_length": 441, "n_fft": 1024, "n_mels": 40, "n_mfcc": 20},
        {"hop_length": 3000, "n_fft": 2048},  # samples between the windows that nobody sees
        {"sample_rate": 8000, "hop_length": 100, "n_fft": 400, "n_mels": 64, "n_mfcc": 8},
        {"hop_length": 2048, "n_fft": 8192},
    ],
)
def test_other_settings_equal_librosas(
    make_wav: Callable[..., Path], settings: dict[str, int]
) -> None:
    families = [f for f in FAMILIES if f != "contrast" or settings.get("sample_rate") != 8000]
    config = DescriptorConfig(descriptors=tuple(families), **settings)
    path = make_wav(kind="notes", duration_s=5.0)
    values = extract(path, config).values
    for group, theirs in librosas(loaded(path, config), config).items():
        ours = values[:, list(config.groups[group])]
        assert_columns_equal(ours, theirs, theirs.std(0) + 1e-9)


@pytest.mark.parametrize("n_samples", [1, 100, 1023, 1024, 1025, 2047, 2048, 5000, 8191, 8192])
def test_short_files(make_wav: Callable[..., Path], rng: object, n_samples: int) -> None:
    path = make_wav(audio=0.1 * rng.standard_normal(n_samples))
    sequence = extract(path, ALL)
    assert len(sequence) == 1 + n_samples // 1024 == ALL.n_frames(n_samples)
    assert sequence.n_samples == n_samples
    assert np.isfinite(sequence.values).all()
    for group, theirs in librosas(loaded(path, ALL), ALL).items():
        ours = sequence.values[:, list(ALL.groups[group])]
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("n_batches", [1, 2])
@pytest.mark.parametrize("extra", [-1, 0, 1, 1023, 1024, 1025])
def test_ends_that_fall_on_the_edges_of_batches(n_batches: int, extra: int) -> None:
    """The buffer of 128 frames holds 128·1024 + 1024 samples, 1024 of them before the first."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(n_batches * 128 * 1024 + extra).astype(np.float32)
    values, n_samples = extract_signal([x], ALL)
    assert n_samples == len(x)
    for group, theirs in librosas(x, ALL).items():
        assert_columns_equal(values[:, list(ALL.groups[group])], theirs, theirs.std(0) + 1e-9)


def test_the_result_does_not_depend_on_the_blocks(
    make_wav: Callable[..., Path], make_signal: Callable[..., Signal]
) -> None:
    path = make_wav("a.ogg", np.stack([make_signal("notes", 8.0, 48000)] * 2), 48000)
    expected = extract(path, ALL).values
    for block_length in (777, 1 << 12, 1 << 20):
        blocks = read_mono_blocks(path, ALL.sample_rate, block_length)
        np.testing.assert_array_equal(extract_signal(blocks, ALL)[0], expected)
    x = make_signal("chirp", 4.0)
    whole, _ = extract_signal([x], ALL)
    pieces = np.split(x, np.sort(np.random.default_rng(0).integers(0, len(x), 50)))
    np.testing.assert_array_equal(extract_signal(pieces, ALL)[0], whole)


def test_families_stand_in_the_order_asked_for(make_wav: Callable[..., Path]) -> None:
    path = make_wav(kind="notes", duration_s=1.0)
    config = DescriptorConfig(descriptors=("rms", "mfcc", "centroid"))
    values = extract(path, config).values
    expected = extract(path, ALL).values
    for group, columns in config.groups.items():
        np.testing.assert_array_equal(
            values[:, list(columns)], expected[:, list(ALL.groups[group])]
        )


def test_a_sequence_says_what_it_is(make_wav: Callable[..., Path]) -> None:
    path = make_wav("folder/sound.wav")
    sequence = extract(path, DescriptorConfig())
    assert sequence.source == "sound.wav"
    assert len(sequence.digest) == 32
    assert not sequence.values.flags.writeable
    named = extract(path, DescriptorConfig(), source="folder/sound.wav", digest="0" * 32)
    assert (named.source, named.digest) == ("folder/sound.wav", "0" * 32)


@pytest.mark.parametrize(("rate", "n_channels"), [(44100, 1), (44100, 2), (48000, 2), (22050, 3)])
@pytest.mark.parametrize("speed", [1.0, 1.122])
def test_samples_equal_the_file_that_holds_them(
    tmp_path: Path, rng: np.random.Generator, rate: int, n_channels: int, speed: float
) -> None:
    samples = 0.3 * rng.standard_normal((rate + 17, n_channels)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, rate, "FLOAT")
    expected = extract(tmp_path / "a.wav", ALL, speed=speed)
    found = extract(samples, ALL, sr=rate, speed=speed)
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.n_samples == expected.n_samples
    if n_channels == 1:
        flat = extract(samples[:, 0].astype(np.float64), ALL, sr=rate, speed=speed)
        np.testing.assert_array_equal(flat.values, expected.values)
        assert flat.digest == found.digest


@pytest.mark.parametrize(
    ("dtype", "subtype"), [("int16", "PCM_16"), ("int32", "PCM_32"), ("uint8", "PCM_U8")]
)
def test_integers_are_scaled_as_in_a_file(
    tmp_path: Path, rng: np.random.Generator, dtype: str, subtype: str
) -> None:
    limits = np.iinfo(dtype)
    samples = rng.integers(limits.min, limits.max, (20_000, 2), dtype, endpoint=True)
    scaled = (samples.astype(np.int64) - 128) << 8 if dtype == "uint8" else samples
    soundfile.write(
        tmp_path / "a.wav", scaled.astype("int32" if dtype == "int32" else "int16"), 44100, subtype
    )
    expected = extract(tmp_path / "a.wav").values
    np.testing.assert_array_equal(extract(samples, sr=44100).values, expected)


def test_samples_have_a_digest_of_their_content(rng: np.random.Generator) -> None:
    samples = rng.standard_normal(5000)
    digest = extract(samples, sr=44100).digest
    assert len(digest) == 32
    assert extract(samples.copy(), sr=44100).digest == digest
    assert extract(samples * 0.5, sr=44100).digest != digest
    assert extract(samples, sr=48000).digest != digest
    named = extract(samples, sr=44100, source="me", digest="0" * 32)
    assert (named.source, named.digest) == ("me", "0" * 32)
    assert extract(samples, sr=44100).source == "array"


@pytest.mark.parametrize(
    ("samples", "options", "message"),
    [
        (np.zeros(100), {}, "samples need their rate"),
        (np.zeros(100), {"sr": 0}, "sr=0 must be"),
        (np.zeros((2, 100)), {"sr": 44100}, r"\(2, 100\) must be \(S,\) or \(S, C\)"),
        (np.zeros((4, 4, 4)), {"sr": 44100}, r"\(4, 4, 4\) must be"),
        (np.zeros(()), {"sr": 44100}, r"\(\) must be"),
        (np.zeros(100, complex), {"sr": 44100}, "complex128 must be real"),
        (np.zeros(0), {"sr": 44100}, "array: the array contains no samples"),
        (np.array([0.0, np.nan, 1.0]), {"sr": 44100}, "array: sample 1 is .*must be finite"),
        (np.array([0.0, np.inf]), {"sr": 44100, "source": "mic"}, "mic: sample 1 is"),
        ("a.wav", {"sr": 44100}, "sr=44100 must not be given with a path"),
    ],
)
def test_unusable_samples_are_refused(
    samples: Signal, options: dict[str, object], message: str
) -> None:
    with pytest.raises(DescError, match=message):
        extract(samples, **options)


def test_nothing_to_extract(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no samples"):
        extract_signal([], DescriptorConfig())
    with pytest.raises(AudioError, match=r"missing\.wav"):
        extract(tmp_path / "missing.wav", DescriptorConfig())


def test_equal_to_librosa_on_real_recordings(shared_audio: Path) -> None:
    """Relative to the deviations of each file; one orchestral recording suffices."""
    paths = [p for p in (shared_audio / "recordings").iterdir() if p.suffix in AUDIO_EXTENSIONS]
    paths.append(min((shared_audio / "orchestra").glob("*.ogg"), key=lambda p: p.stat().st_size))
    assert len(paths) > 1
    small = sorted(paths, key=lambda p: p.stat().st_size)[:4]
    config = DescriptorConfig()
    for path in small:
        expected = librosas(loaded(path, config), config)
        theirs = np.concatenate([expected[group] for group in config.groups], axis=1)
        assert_columns_equal(extract(path, config).values, theirs, theirs.std(0))


@pytest.mark.slow
def test_every_family_equals_librosas_on_real_recordings(shared_audio: Path) -> None:
    for path in sorted((shared_audio / "recordings").glob("*.ogg")):
        y = loaded(path, ALL)
        values = extract(path, ALL).values
        for group, theirs in librosas(y, ALL).items():
            ours = values[:, list(ALL.groups[group])]
            assert_columns_equal(ours, theirs, theirs.std(0), 1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "minutes", "limit_mb"),
    # Ogg and MP3 are slow to write. Ten minutes decoded in one go would be 212 MB.
    [("wav", 60, 450), ("flac", 60, 450), ("ogg", 20, 300), ("mp3", 10, 200)],
)
def test_memory_of_long_files(tmp_path: Path, suffix: str, minutes: int, limit_mb: int) -> None:
    """Stereo, extracted in a process of its own."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc to read a process's peak memory")
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((441_000, 2))
    block = scipy.signal.lfilter([0.03], [1, -0.9], noise, axis=0).astype(np.float32)
    with soundfile.SoundFile(tmp_path / f"long.{suffix}", "w", 44100, 2) as file:
        for _ in range(minutes * 6):
            file.write(block)
    code = (
        "import sys\n"
        "from desc.descriptors.config import DescriptorConfig\n"
        "from desc.descriptors.extraction import extract\n"
        "n = len(extract(sys.argv[1], DescriptorConfig()))\n"
        "line = next(x for x in open('/proc/self/status') if x.startswith('VmHWM'))\n"
        "print(n, line.split()[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / f"long.{suffix}")],
        check=True,
        capture_output=True,
        text=True,
    )
    n_frames, peak_kib = map(int, done.stdout.split())
    assert n_frames == 1 + minutes * 60 * 44100 // 1024
    assert peak_kib * 1024 < limit_mb * 1e6


@pytest.mark.parametrize("loudness", [1.0, 0.1, 0.001])
def test_an_excerpt_at_its_recordings_level_has_its_columns(
    loudness: float, rng: np.random.Generator
) -> None:
    config = DescriptorConfig(top_db=40)
    noise = rng.standard_normal(30 * 1024 + 7).astype(np.float32)
    # Coloured, so that some bands are below the range and some are not.
    excerpt = np.convolve(noise, np.full(8, 0.05 * loudness, np.float32), "valid")
    rest = 0.5 * rng.standard_normal(30 * 1024).astype(np.float32)
    whole, _ = extract_signal([excerpt, rest], config)
    level = loudest_band_db([excerpt, rest], config)
    part, _ = extract_signal([excerpt], config, loudest_db=level)
    columns = config.static_columns
    np.testing.assert_allclose(part[1:29, columns], whole[1:29, columns], atol=1e-4)
    own, _ = extract_signal([excerpt], config)
    same, _ = extract_signal([excerpt], config, loudest_db=loudest_band_db([excerpt], config))
    np.testing.assert_array_equal(own, same)
    if loudness < 1:
        assert np.abs(own[1:29, 0] - whole[1:29, 0]).max() > 1
