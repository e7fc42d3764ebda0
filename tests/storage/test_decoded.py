"""Decoded audio in the cache: equal to the recording, and only what is played."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from desc import audio
from desc.errors import AudioError
from desc.storage import DescriptorStore, decoded

MakeWav = Callable[..., Path]
BLOCK = 4096


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DescriptorStore:
    monkeypatch.setattr(decoded, "BLOCK_SAMPLES", BLOCK)
    return DescriptorStore(tmp_path / "cache")


def blocks(store: DescriptorStore) -> list[Path]:
    files = (store.cache_dir / "audio").rglob("*.npy")
    return sorted(files, key=lambda path: int(path.stem.rpartition("-")[2]))


def open_audio(
    store: DescriptorStore, path: Path, *pieces: tuple[int, int]
) -> audio.AudioReader | decoded.DecodedAudio:
    return store.open_audio(path, store.digest(path), 44100, pieces)


def noise(n_samples: int, n_channels: int = 2) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (n_channels, n_samples)).astype("f4")


def test_uncompressed_audio_of_the_rate_is_read_itself(
    store: DescriptorStore, make_wav: MakeWav
) -> None:
    path = make_wav("a.wav", duration_s=0.1)
    assert isinstance(store.open_audio(path, "", 44100, [(0, 100)]), audio.AudioReader)
    assert not store.cache_dir.exists()


@pytest.mark.parametrize(("name", "rate"), [("a.ogg", 44100), ("a.wav", 48000), ("a.mp3", 44100)])
@pytest.mark.parametrize("is_long", [False, True])
def test_samples_are_those_of_decoding(  # noqa: PLR0917
    store: DescriptorStore,
    make_wav: MakeWav,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    rate: int,
    is_long: bool,
) -> None:
    if is_long:
        monkeypatch.setattr(decoded, "WHOLE_BYTES", 0)
    path = make_wav(name, noise(30000), rate)
    whole = audio.read(path, 44100)
    n_samples = whole.shape[1]
    expected = np.pad(whole, ((0, 0), (5000, 9000)))
    pieces = [(-5000, 100), (-10, 20), (4000, 200), (0, 9000), (n_samples - 7, 500), (32000, 1000)]
    reader = open_audio(store, path, *pieces)
    assert reader.n_channels == 2
    for start, n in [*pieces, (20000, 5)]:
        np.testing.assert_array_equal(reader.read(start, n), expected[:, 5000 + start :][:, :n])


def test_of_a_long_recording_only_what_is_played_is_kept(
    store: DescriptorStore, make_wav: MakeWav, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoded, "WHOLE_BYTES", 100_000)
    path = make_wav("a.flac", noise(10 * BLOCK))
    open_audio(store, path, (BLOCK + 5, 10), (3 * BLOCK - 1, 2))
    assert [file.stem.rpartition("-")[2] for file in blocks(store)] == ["1", "2", "3"]
    short = make_wav("b.flac", noise(3 * BLOCK - 5))
    open_audio(store, short, (0, 1))
    assert len(blocks(store)) == 6


@pytest.mark.parametrize("n_samples", [2 * BLOCK, 2 * BLOCK + 1])
@pytest.mark.parametrize("is_long", [False, True])
def test_the_length_is_known_where_a_piece_reaches_the_end(
    store: DescriptorStore,
    make_wav: MakeWav,
    monkeypatch: pytest.MonkeyPatch,
    n_samples: int,
    is_long: bool,
) -> None:
    if is_long:
        monkeypatch.setattr(decoded, "WHOLE_BYTES", 0)
    path = make_wav("a.flac", noise(n_samples, 1))
    assert open_audio(store, path, (10 * BLOCK, 1)).n_samples == n_samples
    assert open_audio(store, path, (0, 1)).n_samples > n_samples


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other"])
def test_a_damaged_block_is_decoded_again(
    store: DescriptorStore, make_wav: MakeWav, damage: str
) -> None:
    path = make_wav("a.flac", noise(2 * BLOCK + 50))
    open_audio(store, path, (0, 10)).close()
    file, other, _ = blocks(store)
    whole = file.read_bytes()
    broken = {
        "cut": whole[:-100],
        "flip": whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:],
        "empty": b"",
        "other": other.read_bytes(),
    }
    file.write_bytes(broken[damage])
    read = open_audio(store, path, (0, BLOCK)).read(0, BLOCK)
    np.testing.assert_array_equal(read, audio.read(path)[:, :BLOCK])
    assert file.read_bytes() == whole


def test_changed_audio_has_other_blocks(store: DescriptorStore, make_wav: MakeWav) -> None:
    path = make_wav("a.flac", duration_s=0.1)
    open_audio(store, path, (0, 1))
    make_wav("a.flac", kind="noise", duration_s=0.1)
    read = open_audio(store, path, (0, 1000)).read(0, 1000)
    np.testing.assert_array_equal(read, audio.read(path)[:, :1000])


def test_a_recording_that_is_gone_is_named(store: DescriptorStore, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"gone\.wav"):
        store.open_audio(tmp_path / "gone.wav", "0" * 32, 44100, [])
