"""Audio files: results equal those of libsndfile and librosa; errors name file and reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import soxr

from desc import audio
from desc.errors import AudioError

MakeWav = Callable[..., Path]


def stereo(make_signal: Callable[..., np.ndarray], **keywords: object) -> np.ndarray:
    """Two different channels, (2, S)."""
    left = make_signal("notes", **keywords)
    right = make_signal("chirp", **keywords)
    return np.stack([left, 0.5 * right])


def joined(blocks: object) -> np.ndarray:
    return np.concatenate(list(blocks), axis=-1)


# --- headers and errors ---------------------------------------------------------------------


def test_probe_tells_the_header(make_wav: MakeWav, make_signal: Callable[..., np.ndarray]) -> None:
    path = make_wav(audio=stereo(make_signal, sample_rate=22050), sample_rate=22050)
    info = audio.probe(path)
    assert (info.sample_rate, info.n_channels, info.n_samples) == (22050, 2, 22050)
    assert (info.format, info.subtype, info.duration_s) == ("WAV", "PCM_16", 1.0)
    assert info.path == path


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.wav", None, "no such file"),
        ("empty.wav", b"", r"empty \(0 bytes\)"),
        ("text.wav", b"not a sound\n" * 100, "libsndfile cannot read"),
        ("head.flac", b"fLaC\0\0\0\x22" + bytes(34), "libsndfile cannot read|no samples"),
    ],
)
def test_files_that_are_no_audio(
    tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    for reader in (audio.probe, audio.read, audio.AudioReader, lambda p: joined(read_mono(p))):
        with pytest.raises(AudioError, match=reason) as caught:
            reader(path)
        assert str(path) in str(caught.value)


def read_mono(path: Path, sample_rate: int | None = None, block_length: int = 1 << 16) -> object:
    return audio.read_mono_blocks(path, sample_rate, block_length)


def test_a_folder_is_no_audio_file(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="folder"):
        audio.probe(tmp_path)
    with pytest.raises(AudioError, match=r"directory|denied"):
        audio.content_digest(tmp_path)


def test_zero_samples_are_refused(make_wav: MakeWav) -> None:
    with pytest.raises(AudioError, match="no samples"):
        audio.probe(make_wav(audio=np.zeros(0, np.float32)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1e20])
def test_samples_that_are_not_finite_are_named(make_wav: MakeWav, bad: float) -> None:
    x = np.zeros((2, 100_000), np.float32)
    x[1, 70_003] = bad
    path = make_wav(audio=x, subtype="FLOAT")
    for blocks in (read_mono(path), audio.read_blocks(path)):
        with pytest.raises(AudioError, match="sample 70003 is"):
            joined(blocks)


def test_a_wav_cut_in_the_middle_has_what_is_left(make_wav: MakeWav) -> None:
    path = make_wav(audio=np.full(10_000, 0.5, np.float32))
    path.write_bytes(path.read_bytes()[:-10_000])
    assert audio.read(path).shape == (1, 5_000)


def test_digest_follows_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").write_bytes(b"abc")
    (tmp_path / "c").write_bytes(b"abd")
    digests = [audio.content_digest(tmp_path / name) for name in "abc"]
    assert digests[0] == digests[1] != digests[2]
    assert digests[0] == "cf4ab791c62b8d2b2109c90275287816"  # BLAKE2b of 16 bytes


# --- decoding from front to back ------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sample_rate", "n_channels", "subtype"),
    [
        ("a.wav", 44100, 2, "PCM_16"),
        ("a.wav", 48000, 2, "PCM_24"),
        ("a.wav", 22050, 1, "FLOAT"),
        ("a.wav", 8000, 3, "PCM_32"),
        ("a.wav", 96000, 1, "PCM_U8"),
        ("a.flac", 44100, 2, "PCM_24"),
        ("a.ogg", 32000, 2, "VORBIS"),
        ("a.mp3", 44100, 2, "MPEG_LAYER_III"),
        ("a.aiff", 11025, 2, "PCM_16"),
    ],
)
def test_mono_blocks_equal_librosa_load(
    make_wav: MakeWav, name: str, sample_rate: int, n_channels: int, subtype: str
) -> None:
    rng = np.random.default_rng(0)
    x = 0.1 * rng.standard_normal((n_channels, int(1.37 * sample_rate)))
    path = make_wav(name, x, sample_rate, subtype=subtype)
    expected, _ = librosa.load(path, sr=44100)
    ours = joined(read_mono(path, 44100))
    assert ours.dtype == np.float32
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, atol=2e-6)


@pytest.mark.parametrize("n_samples", [1, 2, 7, 441, 1000, 4097, 47_999])
@pytest.mark.parametrize(("source", "target"), [(48000, 44100), (22050, 44100), (44100, 8000)])
def test_length_after_resampling_is_librosas(
    make_wav: MakeWav, rng: np.random.Generator, n_samples: int, source: int, target: int
) -> None:
    path = make_wav(audio=0.1 * rng.standard_normal(n_samples), sample_rate=source)
    expected, _ = librosa.load(path, sr=target)
    ours = joined(read_mono(path, target))
    assert len(ours) == len(expected) == audio.resampled_length(n_samples, source, target)
    np.testing.assert_allclose(ours, expected, atol=2e-6)


def test_the_length_is_that_of_floating_point() -> None:
    # 882 · (44100 / 48000) is 810.3375; 160 · 1.1025 is 176.4, but 4000 · .91875 lands on 3675.
    assert audio.resampled_length(4000, 48000, 44100) == int(np.ceil(4000 * (44100.0 / 48000)))
    assert audio.resampled_length(882, 48000, 44100) == 811
    assert audio.resampled_length(5, 44100, 44100) == 5


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
@pytest.mark.parametrize("target", [44100, 48000])
def test_blocks_do_not_change_the_samples(
    make_wav: MakeWav, make_signal: Callable[..., np.ndarray], name: str, target: int
) -> None:
    path = make_wav(name, stereo(make_signal, duration_s=2.0))
    whole = joined(read_mono(path, target, 1 << 30))
    for block_length in (1, 1000, 16384, 65536):
        n = 3000 if block_length == 1 else len(whole)
        blocks = []
        for block in read_mono(path, target, block_length):
            blocks.append(block)
            if sum(map(len, blocks[-1:])) * len(blocks) >= n:
                break
        assert {len(block) for block in blocks[:-1]} <= {block_length}
        ours = np.concatenate(blocks)
        np.testing.assert_array_equal(ours, whole[: len(ours)])


def test_mp3_of_variable_rate_is_exact_in_blocks(
    tmp_path: Path, make_signal: Callable[..., np.ndarray]
) -> None:
    """Block reads with seeks between them are off by .1 here."""
    path = tmp_path / "variable.mp3"
    x = make_signal("notes", 5.0) + make_signal("noise", 5.0) * (np.arange(220500) > 90000)
    with soundfile.SoundFile(
        path, "w", 44100, 1, compression_level=0.5, bitrate_mode="VARIABLE"
    ) as file:
        for start in range(0, len(x), 1 << 16):
            file.write(x[start : start + (1 << 16)])
    in_one_go, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_array_equal(joined(read_mono(path, 44100, 1000)), in_one_go)


def test_read_returns_all_channels(make_wav: MakeWav, make_signal: Callable) -> None:
    x = stereo(make_signal, sample_rate=48000)
    path = make_wav(audio=x, sample_rate=48000, subtype="FLOAT")
    np.testing.assert_array_equal(audio.read(path), x)
    resampled = audio.read(path, 44100)
    assert resampled.shape == (2, 44100)
    np.testing.assert_array_equal(resampled, audio.resample(x, 48000, 44100))


def test_resample_is_soxr_at_high_quality(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 50_001)).astype(np.float32)
    expected = soxr.resample(x.T, 44100, 48000, quality="HQ").T
    ours = audio.resample(x, 44100, 48000)
    assert ours.shape == (2, 54423)  # ceil(50001 · 160 / 147)
    np.testing.assert_allclose(ours[:, : expected.shape[1]], expected, atol=2e-6)
    assert audio.resample(x, 44100, 44100) is x


def test_an_impossible_block_length_is_refused(make_wav: MakeWav) -> None:
    with pytest.raises(AudioError, match="block_length=0"):
        joined(read_mono(make_wav(), 44100, 0))


# --- WAV without libsndfile -----------------------------------------------------------------


@pytest.mark.parametrize("n_channels", [1, 2, 5])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "PCM_U8"])
@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64"])
def test_pcm_has_the_bits_of_libsndfile(
    tmp_path: Path, rng: np.random.Generator, n_channels: int, subtype: str, container: str
) -> None:
    path = tmp_path / "a.wav"
    x = np.clip(0.5 * rng.standard_normal((20_011, n_channels)), -1, 1)
    x[:2] = [[-1.0], [1.0]]
    soundfile.write(path, x, 44100, subtype, format=container)
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    np.testing.assert_array_equal(audio.read(path), expected.T)
    with audio.AudioReader(path) as reader:
        np.testing.assert_array_equal(reader.read(5, 1000), expected.T[:, 5:1005])


def test_chunks_before_the_samples_are_skipped(make_wav: MakeWav) -> None:
    path = make_wav(audio=np.linspace(-0.5, 0.5, 1000))
    content = path.read_bytes()
    extra = b"note" + (7).to_bytes(4, "little") + b"seven!!" + b"\0"  # odd sizes are padded
    path.write_bytes(content[:12] + extra + content[12:])
    expected, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_array_equal(audio.read(path)[0], expected)


def test_sizes_of_a_stream_are_ignored(make_wav: MakeWav) -> None:
    path = make_wav(audio=np.linspace(-0.5, 0.5, 1000))
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"  # as ffmpeg writes to a pipe
    path.write_bytes(content)
    assert audio.read(path).shape == (1, 1000)


# --- reading at any place -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "subtype"),
    [("a.wav", "PCM_16"), ("a.wav", "PCM_24"), ("a.wav", "FLOAT"), ("a.aiff", "PCM_24"),
     ("a.w64", "FLOAT"), ("a.wav", "PCM_U8")],
)  # fmt: skip
def test_reader_gives_zeros_outside(
    make_wav: MakeWav, make_signal: Callable[..., np.ndarray], name: str, subtype: str
) -> None:
    path = make_wav(name, stereo(make_signal), subtype=subtype)
    expected = np.pad(audio.read(path), ((0, 0), (5000, 5000)))
    with audio.AudioReader(path) as reader:
        assert (reader.n_channels, reader.n_samples, reader.sample_rate) == (2, 44100, 44100)
        for start, n in [(0, 10), (100, 2000), (-7, 20), (44090, 30), (-4000, 48000), (-50, 50),
                         (44100, 5), (-300, 10), (46000, 10), (12, 0), (43000, 1100)]:  # fmt: skip
            segment = reader.read(start, n)
            assert segment.dtype == np.float32
            assert segment.T.flags.c_contiguous
            np.testing.assert_array_equal(segment, expected[:, start + 5000 : start + 5000 + n])


@pytest.mark.parametrize("name", ["a.ogg", "a.mp3", "a.flac"])
def test_reader_refuses_files_it_cannot_seek_in_exactly(make_wav: MakeWav, name: str) -> None:
    path = make_wav(name)
    assert not audio.is_seekable_pcm(audio.probe(path))
    with pytest.raises(AudioError, match="exact random access"):
        audio.AudioReader(path)


def test_what_is_seekable(make_wav: MakeWav) -> None:
    assert audio.is_seekable_pcm(audio.probe(make_wav("a.wav", subtype="PCM_24")))
    assert audio.is_seekable_pcm(audio.probe(make_wav("a.aiff")))
    assert not audio.is_seekable_pcm(audio.probe(make_wav("a.wav", subtype="IMA_ADPCM")))
    assert not audio.is_seekable_pcm(audio.probe(make_wav("a.flac")))


def test_reader_notices_a_file_that_shrank(make_wav: MakeWav) -> None:
    path = make_wav()
    with audio.AudioReader(path) as reader:
        with path.open("r+b") as file:
            file.truncate(1000)
        with pytest.raises(AudioError, match="shorter"):
            reader.read(20_000, 100)


# --- writing --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subtype", "step"),
    [("PCM_16", 2**-15), ("PCM_24", 2**-23), ("PCM_32", 2**-31), ("FLOAT", 0.0)],
)
def test_write_and_read_again(tmp_path: Path, subtype: str, step: float, rng: object) -> None:
    x = np.clip(0.3 * rng.standard_normal((2, 5000)), -0.99, 0.99).astype(np.float32)
    path = tmp_path / "folder" / "a.wav"
    audio.write(path, x, 48000, subtype)
    info = audio.probe(path)
    assert (info.subtype, info.sample_rate, info.n_channels) == (subtype, 48000, 2)
    again = audio.read(path)
    np.testing.assert_allclose(again, x, atol=step * 0.5, rtol=0)
    audio.write(path, again, 48000, subtype)
    np.testing.assert_array_equal(audio.read(path), again)


def test_integer_formats_clip(tmp_path: Path) -> None:
    audio.write(tmp_path / "a.wav", np.array([2.0, -2.0, 0.5]), 44100, "PCM_16")
    np.testing.assert_allclose(audio.read(tmp_path / "a.wav")[0], [1, -1, 0.5], atol=2**-15)


def test_writer_appends_blocks(tmp_path: Path, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 1000)).astype(np.float32)
    path = tmp_path / "a.wav"
    with audio.AudioWriter(path, 44100, 2, "FLOAT") as writer:
        for start in range(0, 1000, 300):
            writer.write(x[:, start : start + 300])
        assert not path.exists()
        assert writer.n_samples == 1000
    np.testing.assert_array_equal(audio.read(path), x)
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


def test_an_error_leaves_nothing_new_and_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    audio.write(path, np.full(10, 0.5), 44100)
    before = path.read_bytes()

    def write_and_fail(*blocks: object) -> None:
        with audio.AudioWriter(path, 44100, 1) as writer:
            for block in (np.zeros(100), *blocks):
                writer.write(block)
            raise KeyboardInterrupt

    for wrong in (np.zeros((2, 5)), np.array([[0.0, np.nan]])):
        with pytest.raises(AudioError):
            write_and_fail(wrong)
    with pytest.raises(KeyboardInterrupt):
        write_and_fail()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


def test_what_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AudioError, match=r"'\.flac' cannot hold PCM_32 samples; \.wav can"):
        audio.write(tmp_path / "a.flac", np.zeros(5), 44100, "PCM_32")
    with pytest.raises(AudioError, match=r"'\.xyz' cannot hold"):
        audio.write(tmp_path / "a.xyz", np.zeros(5), 44100)
    (tmp_path / "file").write_text("")
    with pytest.raises(AudioError, match="file"):
        audio.write(tmp_path / "file" / "a.wav", np.zeros(5), 44100)
    with pytest.raises(AudioError, match="with statement"):
        audio.AudioWriter(tmp_path / "a.wav", 44100, 1).write(np.zeros(5))
    monkeypatch.setattr("desc.audio.writer.WAV_LIMIT", 1000)
    with pytest.raises(AudioError, match="4 GiB"):
        audio.write(tmp_path / "a.wav", np.zeros(500), 44100, "PCM_24")
    audio.write(tmp_path / "a.rf64", np.zeros(500), 44100, "PCM_24")
    assert audio.is_seekable_pcm(audio.probe(tmp_path / "a.rf64"))


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".aif", ".w64", ".rf64", ".caf"])
def test_other_containers(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    audio.write(path, np.full((2, 3000), 0.25), 44100, "VORBIS" if suffix == ".ogg" else "PCM_16")
    assert audio.probe(path).n_samples == 3000
    assert suffix in audio.AUDIO_EXTENSIONS


@pytest.mark.slow
def test_long_ogg_in_one_call(tmp_path: Path) -> None:
    """libsndfile crashes on this many samples in one call."""
    audio.write(tmp_path / "a.ogg", np.zeros((1, 5_000_000), np.float32), 44100, "VORBIS")
    assert audio.probe(tmp_path / "a.ogg").n_samples == 5_000_000


def test_encoded_sound_is_the_same_each_time(rng: np.random.Generator) -> None:
    """libsndfile numbers its streams at random; the checksums are those of another reader."""
    sound = rng.uniform(-0.5, 0.5, (2, 100_000)).astype(np.float32)
    encoded = audio.encode_ogg(sound, 44100, 1 << 20)
    assert encoded == audio.encode_ogg(sound, 44100, 1 << 20)
    decoded, rate = audio.decode(encoded)  # pages of a wrong checksum would be skipped
    assert (decoded.shape, rate) == (sound.shape, 44100)
    damaged = bytearray(encoded)
    damaged[len(damaged) // 2] ^= 1
    assert audio.decode(bytes(damaged))[0].shape != sound.shape


def test_encoded_sound_is_decoded_again(make_signal: Callable[..., np.ndarray]) -> None:
    sound = np.stack([make_signal("notes", 2.0, seed=s) for s in (0, 1)])
    decoded, rate = audio.decode(audio.encode_wav(sound, 44100))
    assert rate == 44100
    np.testing.assert_allclose(decoded, sound, atol=1 / 32000)
    decoded, _ = audio.decode(audio.encode_ogg(sound, 44100, 10**6))
    assert decoded.shape == sound.shape
    assert np.corrcoef(decoded[0], sound[0])[0, 1] > 0.97
    noise = np.asarray(make_signal("noise", 4.0), np.float32)[None]
    best = len(audio.encode_ogg(noise, 44100, 10**6))
    assert len(audio.encode_ogg(noise, 44100, best - 1)) < best


@pytest.mark.parametrize(("max_bytes", "bits"), [(300_000, 14), (260_000, 12)])
def test_the_bits_of_fast_encoding_are_as_many_as_fit(
    rng: np.random.Generator, max_bytes: int, bits: int
) -> None:
    """Noise needs all bits, here 20,000 bytes for each. Rounding is wrong by up to half a step."""
    sound = rng.uniform(-1, 1, (2, 80_000)).astype(np.float32)
    encoded = audio.encode_fast(sound, 44100, max_bytes)
    decoded, rate = audio.decode(encoded)
    steps = 2 ** (bits - 1)
    assert (encoded[:4], rate) == (b"fLaC", 44100)
    assert len(encoded) <= max_bytes
    assert np.abs(decoded * steps - sound * (steps - 1)).max() == pytest.approx(0.5, abs=0.01)


def test_fast_encoding_of_what_is_too_large_for_flac_is_vorbis(rng: np.random.Generator) -> None:
    sound = rng.uniform(-0.5, 0.5, (2, 80_000)).astype(np.float32)
    for max_bytes in (150_000, 60_000):  # FLAC is tried, and is not
        assert audio.encode_fast(sound, 44100, max_bytes) == audio.encode_ogg(
            sound, 44100, max_bytes
        )
