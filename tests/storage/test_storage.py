"""The cache: content addressing, recovery from faults, concurrent processes."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path

import numpy as np
import pytest

from desc import audio
from desc.errors import StorageError
from desc.storage import DescriptorStore, default_cache_dir
from desc.storage import store as store_module
from desc.storage.arrays import MAPPED_BYTES, read_array, write_array
from tests.fuzzing import fuzz
from tests.storage.conftest import CONFIG, OTHER_HOP, age, sequence_of, shards


class TestFolder:
    def test_the_variable_names_it(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("DESC_CACHE", str(tmp_path / "named"))
        assert default_cache_dir() == tmp_path / "named"
        assert DescriptorStore().cache_dir == tmp_path / "named"

    def test_else_it_is_the_platforms(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DESC_CACHE", "")
        assert "descriptor-transformer" in default_cache_dir().parts

    def test_reading_creates_nothing(self, store: DescriptorStore) -> None:
        assert store.load("0" * 32, CONFIG, "x") is None
        assert store.failures() == {}
        assert store.summary().n_bytes == 0
        assert store.prune().n_files == 0
        assert store.limit(0).n_files == 0
        assert not store.cache_dir.exists()

    def test_one_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        store = DescriptorStore(tmp_path / "file")
        with pytest.raises(StorageError, match="file"):
            store.save(sequence_of())


class TestDescriptors:
    @pytest.mark.parametrize("n_frames", [1, 20, MAPPED_BYTES // 100])
    def test_round_trip(self, store: DescriptorStore, n_frames: int) -> None:
        sequence = sequence_of(n_frames)
        store.save(sequence)
        loaded = store.load(sequence.digest, CONFIG, "renamed.wav")
        assert loaded is not None
        np.testing.assert_array_equal(loaded.values, sequence.values)
        assert (loaded.source, loaded.digest) == ("renamed.wav", sequence.digest)
        assert (loaded.n_samples, loaded.config) == (sequence.n_samples, CONFIG)
        assert loaded.values.dtype == np.float32
        assert not loaded.values.flags.writeable

    def test_large_ones_are_memory_mapped(self, store: DescriptorStore) -> None:
        sequence = sequence_of(MAPPED_BYTES // 100)
        store.save(sequence)
        loaded = store.load(sequence.digest, CONFIG, "x")
        assert loaded is not None
        assert isinstance(loaded.values, np.memmap)

    def test_a_shard_is_a_plain_npy_file(self, store: DescriptorStore) -> None:
        store.save(sequence_of())
        (path,) = shards(store)
        np.testing.assert_array_equal(np.load(path), sequence_of().values)

    def test_other_settings_are_other_descriptors(self, store: DescriptorStore) -> None:
        store.save(sequence_of())
        assert store.load(sequence_of().digest, OTHER_HOP, "x") is None
        store.save(sequence_of(40, config=OTHER_HOP))
        lengths = [len(store.load(f"{0:032x}", c, "x") or ()) for c in (CONFIG, OTHER_HOP)]
        assert lengths == [20, 40]

    @pytest.mark.parametrize("n_bytes", [0, 1, 100, 1000, -1, -20, -200])
    def test_a_shard_cut_short_counts_as_absent(self, store: DescriptorStore, n_bytes: int) -> None:
        store.save(sequence_of())
        (path,) = shards(store)
        path.write_bytes(path.read_bytes()[:n_bytes])
        assert store.load(sequence_of().digest, CONFIG, "x") is None
        assert store.missing([sequence_of().digest], CONFIG) == [sequence_of().digest]
        store.save(sequence_of())
        assert store.load(sequence_of().digest, CONFIG, "x") is not None

    def test_any_changed_byte_is_noticed(self, store: DescriptorStore) -> None:
        store.save(sequence_of(3))
        (path,) = shards(store)
        content = path.read_bytes()
        header = content.index(b"\n") + 1
        for position in range(header, header + 3 * CONFIG.n_columns * 4, 41):
            path.write_bytes(
                content[:position] + bytes([content[position] ^ 16]) + content[position + 1 :]
            )
            assert store.load(sequence_of().digest, CONFIG, "x") is None

    def test_a_fuzzed_shard_is_absent(self, store: DescriptorStore) -> None:
        sequence = sequence_of(3)
        store.save(sequence)
        (path,) = shards(store)

        def read(_path: Path) -> None:
            loaded = store.load(sequence.digest, CONFIG, "x")
            if loaded is not None:
                np.testing.assert_array_equal(loaded.values, sequence.values)
                assert loaded.n_samples == sequence.n_samples

        fuzz(path, read, 100)
        header = path.read_bytes()
        for bit in range(0, 8 * 128, 3):  # of the header
            damaged = bytearray(header)
            damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            read(path)

    def test_a_shard_of_another_content_is_not_taken(self, store: DescriptorStore) -> None:
        store.save(sequence_of())
        (path,) = shards(store)
        shutil.copy(path, path.with_name(f"{1:032x}.npy"))
        assert store.load(f"{1:032x}", CONFIG, "x") is None

    def test_rows_that_do_not_fill_the_shape_leave_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match="2 rows must be 3"):
            write_array(tmp_path / "a.npy", [np.zeros((2, 4), np.float32)], (3, 4), {})
        assert list(tmp_path.iterdir()) == []

    def test_no_file_handle_left_is_no_failure(
        self, store: DescriptorStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def exhausted(*args: object, **kwargs: object) -> None:
            raise OSError(24, "Too many open files")

        sequence = sequence_of(MAPPED_BYTES // 100)
        store.save(sequence)
        monkeypatch.setattr(np, "memmap", exhausted)
        loaded = store.load(sequence.digest, CONFIG, "x")
        assert loaded is not None
        np.testing.assert_array_equal(loaded.values, sequence.values)


class TestPacked:
    def test_one_behind_the_other(self, store: DescriptorStore) -> None:
        sequences = [sequence_of(5, 0), sequence_of(1, 1), sequence_of(7, 2)]
        values = store.packed(sequences)
        np.testing.assert_array_equal(values, np.concatenate([s.values for s in sequences]))
        assert not values.flags.writeable
        again = store.packed(sequences[::-1])
        np.testing.assert_array_equal(again[:7], sequences[2].values)
        assert store.summary().packed.n_files == 2

    def test_a_damaged_one_is_written_again(self, store: DescriptorStore) -> None:
        sequences = [sequence_of(5, 0), sequence_of(6, 1)]
        store.packed(sequences)
        (path,) = (store.cache_dir / "packed").rglob("*.npy")
        path.write_bytes(path.read_bytes()[:-30])
        assert store.packed(sequences).shape == (11, CONFIG.n_columns)

    @pytest.mark.parametrize("damage", ["flipped", "rows moved", "length"])
    def test_other_rows_are_noticed(self, store: DescriptorStore, damage: str) -> None:
        sequences = [sequence_of(5, 0), sequence_of(6, 1)]
        store.packed(sequences)
        (path,) = (store.cache_dir / "packed").rglob("*.npy")
        whole = path.read_bytes()
        row, start = 4 * CONFIG.n_columns, whole.index(b"\n") + 1
        rows, rest = whole[start : start + 11 * row], whole[start + 11 * row :]
        damaged = {
            "flipped": whole[: start + 99] + bytes([whole[start + 99] ^ 1]) + whole[start + 100 :],
            "rows moved": whole[:start] + rows[row:] + rows[:row] + rest,
            "length": whole.replace(b" 5, ", b" 7, ").replace(b" 6, ", b" 4, "),
        }
        assert damaged[damage] != whole
        path.write_bytes(damaged[damage])
        expected = np.concatenate([s.values for s in sequences])
        np.testing.assert_array_equal(store.packed(sequences), expected)
        assert path.read_bytes() == whole

    def test_a_cache_that_cannot_be_written_keeps_new_ones_elsewhere(
        self, store: DescriptorStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        store.save(sequence_of(5, 0))
        (store.cache_dir / "packed").write_text("in the way")
        sequences = [sequence_of(5, 0), sequence_of(6, 1)]
        expected = np.concatenate([s.values for s in sequences])
        for _ in range(2):
            np.testing.assert_array_equal(store.packed(sequences), expected)
            np.testing.assert_array_equal(store.packed(sequences[::-1])[:6], sequences[1].values)
        (line,) = caplog.messages
        assert "cannot be written" in line

    def test_one_not_used_for_long_goes_when_another_is_written(
        self, store: DescriptorStore
    ) -> None:
        store.packed([sequence_of(5, 0)])
        store.packed([sequence_of(5, 1)])
        for path in (store.cache_dir / "packed").rglob("*.npy"):
            age(path, 40 * 86400)
        store.packed([sequence_of(5, 0)])  # used
        store.packed([sequence_of(5, 2)])
        assert store.summary().packed.n_files == 2

    def test_many_sequences_are_views_of_one_file(
        self, store: DescriptorStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store_module, "MAX_OPEN", 3)
        sequences = [sequence_of(5 + i % 4, i % 4) for i in range(6)]  # two contents occur twice
        for sequence in sequences[:4]:
            store.save(sequence)
        digests = [s.digest for s in sequences]
        assert store.missing(digests, CONFIG) == []
        for _ in range(2):
            loaded = store.load_all(digests, CONFIG, [f"{i}.wav" for i in range(6)])
            assert [s.source for s in loaded] == [f"{i}.wav" for i in range(6)]
            assert [s.n_samples for s in loaded] == [s.n_samples for s in sequences]
            for one, other in zip(loaded, sequences, strict=True):
                np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(
            store.packed(loaded), np.concatenate([s.values for s in sequences])
        )
        assert store.summary().packed.n_files == 1

    @pytest.mark.parametrize("most_open", [0, 64])
    def test_more_than_the_cache_keeps_is_told(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        most_open: int,
    ) -> None:
        monkeypatch.setattr(store_module, "MAX_OPEN", most_open)
        n_bytes = 2 * 5 * CONFIG.n_columns * 4  # of one content and the packed view
        for limit, told in ((n_bytes, 0), (n_bytes - 1, 1)):
            monkeypatch.setenv("DESC_CACHE_LIMIT_GB", repr(limit / 2**30))
            store = DescriptorStore(tmp_path)
            store.save(sequence_of(5, 0))
            store.load_all([sequence_of(5, 0).digest], CONFIG, ["x.wav"])
            assert caplog.text.count("a larger DESC_CACHE_LIMIT_GB") == told

    def test_descriptors_gone_meanwhile_are_an_error(self, store: DescriptorStore) -> None:
        with pytest.raises(StorageError, match=r"descriptors of x\.wav are gone"):
            store.load_all(["0" * 32], CONFIG, ["x.wav"])


def work(cache_dir: Path, folder: Path, seed: int, failures: multiprocessing.Queue[str]) -> None:
    """Task of one of several processes that use the same cache at the same time."""
    try:
        store = DescriptorStore(cache_dir)
        for i in range(12):
            path = folder / f"{i}.wav"
            if store.digest(path) != audio.content_digest(path):
                failures.put(f"digest of {path}")
            store.save(sequence_of(50, i))
            loaded = store.load(f"{i:032x}", CONFIG, "x")
            if loaded is None or not np.array_equal(loaded.values, sequence_of(50, i).values):
                failures.put(f"descriptors {i}")
            store.packed([sequence_of(50, j) for j in range(i % 3, i + 1)])
            if i == 6 and seed == 0:
                store.manifest.path.write_bytes(b"damaged " * 2000)
            store.prune()
    except Exception as error:
        failures.put(f"{type(error).__name__}: {error}")


def test_several_processes_use_it_at_once(tmp_path: Path) -> None:
    for i in range(12):
        (tmp_path / f"{i}.wav").write_bytes(b"%d" % i)
    context = multiprocessing.get_context("spawn")
    failures = context.Queue()
    processes = [
        context.Process(target=work, args=(tmp_path / "cache", tmp_path, seed, failures))
        for seed in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert failures.empty(), failures.get()
    assert not list((tmp_path / "cache").rglob(".*"))


def test_files_of_other_kinds_are_no_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "plain.npy", np.zeros((3, 3), np.float32))
    (tmp_path / "text.npy").write_text("x" * 500)
    write_array(tmp_path / "good.npy", [np.zeros((3, 3), np.float32)], (3, 3), {"a": 1})
    assert read_array(tmp_path / "plain.npy", verify=True) is None
    assert read_array(tmp_path / "text.npy", verify=True) is None
    good = read_array(tmp_path / "good.npy", verify=True)
    assert good is not None
    assert good.about["a"] == 1
