"""The music tagger: its network beside a plain one, and wheels that are damaged."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from desc.errors import CheckpointError
from desc.metrics.musicnn import Tagger, log_mel
from desc.metrics.realism import kernel_distance

Array = npt.NDArray[np.float32]
Weights = dict[str, Array]

STEM = "musicnn/MSD_musicnn/"
KERNELS = (
    (7, 38, 1, 204), (7, 67, 1, 204), (128, 1, 1, 51), (64, 1, 1, 51), (32, 1, 1, 51),
    (7, 561, 1, 64), (7, 64, 1, 64), (7, 64, 1, 64),
)  # fmt: skip
WIDTHS = (1, 204, 204, 51, 51, 51, 64, 64, 64, 1506, 200)
RATE = 16000


def named(kind: str, i: int) -> str:
    return f"{kind}_{i}" if i else kind


def make_weights() -> Weights:
    rng, weights = np.random.default_rng(0), {}
    for i, shape in enumerate(KERNELS):
        scale = 2 / math.sqrt(math.prod(shape[:-1]))
        weights[named("conv2d", i) + "/kernel"] = scale * rng.standard_normal(shape)
        weights[named("conv2d", i) + "/bias"] = rng.standard_normal(shape[-1:])
    for i, n in enumerate(WIDTHS):
        name = named("batch_normalization", i)
        weights[f"{name}/gamma"] = rng.choice([-1, 1], n) * rng.uniform(0.5, 1, n)
        weights[f"{name}/beta"] = rng.standard_normal(n)
        weights[f"{name}/moving_mean"] = rng.standard_normal(n)
        weights[f"{name}/moving_variance"] = rng.uniform(0.5, 2, n)
    weights["dense/kernel"] = rng.standard_normal((1506, 200)) / 30
    weights["dense/bias"] = rng.standard_normal(200)
    return {name: np.asarray(x, np.float32) for name, x in weights.items()}


def varint(n: int) -> bytes:
    low, rest = n & 127, n >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def block_of(pairs: Mapping[bytes, bytes]) -> bytes:
    """A block of LevelDB in which each key shares its beginning with the one before."""
    data, before = b"", b""
    for key, value in sorted(pairs.items()):
        same = [a == b for a, b in zip(key, before, strict=False)]
        shared = same.index(False) if False in same else len(same)
        data += varint(shared) + varint(len(key) - shared) + varint(len(value))
        data += key[shared:] + value
        before = key
    return data + bytes(4) + (1).to_bytes(4, "little")


def checkpoint(weights: Weights) -> dict[str, bytes]:
    entries, data = {b"": b""}, b""
    for name, x in weights.items():
        shape = b"".join(field(2, field(1, n)) for n in x.shape)
        place = field(4, len(data)) if data else b""  # zeros are left out
        entries[name.encode()] = field(1, 1) + field(2, shape) + place + field(5, 4 * x.size)
        data += x.astype("<f4").tobytes()
    content = block_of(entries)
    index = block_of({b"~": varint(0) + varint(len(content))})
    table = content + bytes(5)  # no compression, no checksum
    footer = varint(0) + varint(0) + varint(len(table)) + varint(len(index))
    table += index + bytes(5) + footer.ljust(40, b"\0") + bytes(8)
    return {f"{STEM}.index": table, f"{STEM}.data-00000-of-00001": data}


def write_wheel(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return checkpoint(make_weights())


@pytest.fixture(scope="module")
def tagger(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    return Tagger.load(write_wheel(tmp_path_factory.mktemp("wheel") / "musicnn.whl", files))


def plain_description(window: Array, weights: Weights) -> Array:
    """The network as it is published, for one window (187, 96), by filters one band at a time."""

    def normalised(x: Array, i: int) -> Array:
        gamma, beta, mean, variance = (
            weights[named("batch_normalization", i) + f"/{part}"].astype(float)
            for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta

    def convolved(x: Array, i: int) -> Array:
        """x (T, inputs), padded as by TensorFlow ("same") -> (T, C)."""
        kernel = weights[named("conv2d", i) + "/kernel"].reshape(KERNELS[i][0], -1, KERNELS[i][-1])
        taps = len(kernel)
        padded = np.pad(x, (((taps - 1) // 2, taps // 2), (0, 0)))
        products = sum(padded[k : k + len(x)] @ kernel[k] for k in range(taps))
        return np.maximum(products + weights[named("conv2d", i) + "/bias"], 0)

    x = normalised(window, 0)
    front = []
    for i in range(5):
        height = KERNELS[i][1]
        each = [convolved(x[:, b : b + height], i) for b in range(96 - height + 1)]
        front.append(normalised(np.stack(each), 1 + i).max(0))
    features = [np.concatenate(front, 1)]
    for i in (5, 6, 7):
        found = normalised(convolved(features[-1], i), 1 + i)
        features.append(found if i == 5 else found + features[-1])
    every = np.concatenate(features, 1)
    pooled = normalised(np.stack([every.max(0), every.mean(0)], 1).reshape(-1), 9)
    return normalised(np.maximum(pooled @ weights["dense/kernel"] + weights["dense/bias"], 0), 10)


def test_it_computes_the_published_network(
    tagger: Tagger, make_signal: Callable[..., Array]
) -> None:
    sound = make_signal("notes", 4.7, RATE)
    described = tagger.describe(sound, RATE)
    assert described.shape == (2, 200)
    spectrum = log_mel(sound)
    assert len(spectrum) == 1 + len(sound) // 256
    second = plain_description(spectrum[94 : 94 + 187], make_weights())
    np.testing.assert_allclose(described[1], second, atol=1e-4)
    np.testing.assert_allclose(described[:1], tagger.describe(sound[: 3 * RATE], RATE), atol=1e-4)


def test_sound_of_another_rate_is_described_alike(
    tagger: Tagger, make_signal: Callable[..., Array]
) -> None:
    a, b = (tagger.describe(make_signal("notes", 3.1, rate), rate) for rate in (RATE, 44100))
    other = tagger.describe(make_signal("notes", 3.1, RATE, seed=1), RATE)
    assert np.abs(a - b).mean() < 0.3 * np.abs(a - other).mean()


def test_a_distance_needs_sounds_of_three_seconds(
    tagger: Tagger, make_signal: Callable[..., Array]
) -> None:
    notes, noise = make_signal("notes", 4.7, RATE), make_signal("noise", 4.7, RATE)
    assert tagger.kad([(notes, RATE)], [(noise, RATE)]) > 100
    assert math.isnan(tagger.kad([(notes, RATE)], [(noise[:RATE], RATE)]))


def test_a_kernel_distance_has_no_bias(rng: np.random.Generator) -> None:
    same = [kernel_distance(*rng.standard_normal((2, 12, 20))) for _ in range(200)]
    assert np.mean(same) == pytest.approx(0, abs=3 * np.std(same) / math.sqrt(200))
    x = rng.standard_normal((50, 20))
    assert kernel_distance(x + 100, x) == pytest.approx(2 - 2 * math.exp(-1), abs=0.02)
    assert math.isnan(kernel_distance(x[:1], x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda files: {}, "it lacks"),
        (lambda files: files | {f"{STEM}.index": b"cut"}, "wheel"),
        (lambda files: files | {f"{STEM}.index": files[f"{STEM}.index"][-60:]}, "wheel"),
        (lambda files: files | {f"{STEM}.index": b"\xff" * 300}, "more than ten bytes"),
        (lambda files: files | {f"{STEM}.index": bytes(1 << 18)}, "has 262144 bytes"),
        (lambda files: files | {f"{STEM}.data-00000-of-00001": bytes(100)}, "buffer"),
        (lambda files: checkpoint(make_weights() | {"dense/bias": np.zeros(7)}), "must be 200"),
        (lambda files: checkpoint(make_weights() | {"dense/bias": np.full(200, np.nan)}), "finite"),
        (lambda files: checkpoint(make_weights() | {
            "batch_normalization/moving_variance": np.full(1, -1.0)}), "negative"),
        (lambda files: checkpoint({f"{i}": np.zeros(1) for i in range(5000)}), "5000 entries|4096"),
        (lambda files: checkpoint({"x" * 600: np.zeros(1)}), "a name of 600 bytes"),
    ],
)  # fmt: skip
def test_other_and_damaged_wheels_are_refused(
    change: Callable[[dict[str, bytes]], dict[str, bytes]],
    message: str,
    files: dict[str, bytes],
    tmp_path: Path,
) -> None:
    path = write_wheel(tmp_path / "other.whl", change(files))
    with pytest.raises(CheckpointError, match=message) as caught:
        Tagger.load(path)
    assert str(caught.value).startswith(f"{path}: not the wheel of musicnn")
    assert "pip download --no-deps musicnn==0.1.0" in str(caught.value)


def test_a_wheel_that_is_missing_or_cut(files: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"No such file.*pip download"):
        Tagger.load(tmp_path / "none.whl")
    path = write_wheel(tmp_path / "cut.whl", files)
    path.write_bytes(path.read_bytes()[:1_000_000])
    with pytest.raises(CheckpointError, match=r"cut\.whl: not the wheel"):
        Tagger.load(path)
    with pytest.raises(CheckpointError, match="directory"):
        Tagger.load(tmp_path)
