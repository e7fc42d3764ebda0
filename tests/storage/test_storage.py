"""The cache: content addressing, recovery from faults, concurrent processes."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import PIPE, Popen, run

import numpy as np
import pytest

import desc
from desc import audio
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import AudioError, ConfigurationError, StorageError
from desc.progress import reporting
from desc.storage import DescriptorStore, default_cache_dir
from desc.storage import manifest as manifest_module
from desc.storage import store as store_module
from desc.storage.arrays import MAPPED_BYTES, read_array, write_array
from desc.storage.manifest import FileState, Manifest
from tests.fuzzing import fuzz

CONFIG = DescriptorConfig()
OTHER_HOP = DescriptorConfig(hop_length=512)
OLD = 1_600_000_000  # a time of change long ago


def sequence_of(
    n_frames: int = 20, seed: int = 0, config: DescriptorConfig = CONFIG
) -> DescriptorSequence:
    values = np.random.default_rng(seed).standard_normal((n_frames, config.n_columns))
    n_samples = (n_frames - 1) * config.hop_length + 7
    return DescriptorSequence(values.astype("f4"), config, f"{seed}.wav", f"{seed:032x}", n_samples)


def shards(store: DescriptorStore) -> list[Path]:
    return sorted((store.cache_dir / "descriptors").rglob("*.npy"))


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


@pytest.fixture
def store(tmp_path: Path) -> DescriptorStore:
    return DescriptorStore(tmp_path / "cache")


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose bytes were read for a digest."""
    names: list[str] = []
    content_digest = audio.content_digest

    def counted(path: str | Path) -> str:
        names.append(Path(path).name)
        return content_digest(path)

    monkeypatch.setattr(audio, "content_digest", counted)
    return names


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
        for position in range(header, header + 3 * 39 * 4, 41):
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


class TestDigests:
    def test_a_file_is_read_once(
        self, store: DescriptorStore, make_wav: Callable[..., Path], hashed: list[str]
    ) -> None:
        path = make_wav("a.wav", duration_s=0.1)
        first = store.digest(path)
        assert (store.digest(path), DescriptorStore(store.cache_dir).digest(path)) == (first, first)
        assert hashed == ["a.wav"]

    def test_a_moved_file_is_read_and_has_the_same_digest(
        self, store: DescriptorStore, make_wav: Callable[..., Path], hashed: list[str]
    ) -> None:
        path = make_wav("a.wav", duration_s=0.1)
        digest = store.digest(path)
        path.rename(path.with_name("b.wav"))
        assert store.digest(path.with_name("b.wav")) == digest
        assert hashed == ["a.wav", "b.wav"]

    def test_a_change_at_once_with_the_same_length_is_noticed(
        self, store: DescriptorStore, tmp_path: Path
    ) -> None:
        path = tmp_path / "a.wav"
        digests = set()
        for content in (b"one", b"two", b"six"):
            path.write_bytes(content)
            digests.add(store.digest(path))
        assert len(digests) == 3

    def test_times_in_whole_seconds_are_trusted_when_they_are_old(
        self, store: DescriptorStore, tmp_path: Path, hashed: list[str]
    ) -> None:
        path = tmp_path / "a.wav"
        for seconds, n_read in ((int(time.time()), 2), (OLD, 1)):
            path.write_bytes(b"x")
            os.utime(path, (seconds, seconds))
            hashed.clear()
            store.digest(path)
            store.digest(path)
            assert len(hashed) == n_read

    @pytest.mark.skipif(sys.platform == "win32", reason="has no time of change")
    def test_another_file_of_the_same_size_and_time_is_read(
        self, store: DescriptorStore, tmp_path: Path
    ) -> None:
        path = tmp_path / "a.wav"
        digests = []
        for content in (b"one", b"two"):
            path.write_bytes(content)
            os.utime(path, (OLD, OLD))
            digests.append(store.digest(path))
        assert digests[0] != digests[1]

    def test_a_file_that_grows_meanwhile_is_refused(
        self, store: DescriptorStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a.wav"
        path.write_bytes(b"x")

        def slow(path: Path) -> str:
            with path.open("ab") as file:
                file.write(b"more")
            return "0" * 32

        monkeypatch.setattr(manifest_module.audio, "content_digest", slow)
        with pytest.raises(AudioError, match="changed while it was read"):
            store.digest(path)

    def test_an_absent_file_is_named(self, store: DescriptorStore, tmp_path: Path) -> None:
        with pytest.raises(AudioError, match=r"no\.wav"):
            store.digest(tmp_path / "no.wav")

    @pytest.mark.parametrize("jobs", [1, 4, -1])
    def test_many_files(self, store: DescriptorStore, tmp_path: Path, jobs: int) -> None:
        paths = [tmp_path / f"{i % 9}.wav" for i in range(12)]
        for i in range(9):
            paths[i].write_bytes(bytes([i]))
        calls: list[tuple[str, int, int]] = []
        paths.append(tmp_path / "absent.wav")
        with reporting(lambda *call: calls.append(call)):
            digests = store.identify(paths, jobs=jobs)
        assert digests[:12] == [audio.content_digest(path) for path in paths[:12]]
        assert isinstance(digests[12], AudioError)
        assert calls == [("identify", i + 1, 9) for i in range(9)]

    @pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="needs names that are no text")
    def test_names_that_are_no_text(self, store: DescriptorStore, tmp_path: Path) -> None:
        path = tmp_path / os.fsdecode(b"caf\xe9.wav")
        path.write_bytes(b"x")
        assert store.digest(path) == store.digest(path)
        assert next(iter(store.manifest.all_files())).path.endswith(b"caf\xe9.wav")


class TestManifest:
    @pytest.mark.parametrize("damage", ["garbage", "cut", "middle", "empty", "version"])
    def test_a_damaged_one_is_begun_anew(
        self, store: DescriptorStore, tmp_path: Path, damage: str
    ) -> None:
        path = tmp_path / "a.wav"
        path.write_bytes(b"x")
        digest = store.digest(path)
        store.save(sequence_of())
        manifest = store.manifest.path
        content = manifest.read_bytes()
        if damage == "version":
            connection = sqlite3.connect(manifest)
            connection.execute("PRAGMA user_version = 99")
            connection.close()
        else:
            damaged = {
                "garbage": b"no database " * 1000,
                "cut": content[: len(content) // 2 - 100],
                "middle": content[:4096] + b"\xff" * (len(content) - 4096),
                "empty": b"",
            }
            manifest.write_bytes(damaged[damage])
        assert store.digest(path) == digest
        assert Manifest(manifest).digests([FileState.of(path)]) == {FileState.of(path): digest}
        assert store.load(sequence_of().digest, CONFIG, "x") is not None

    def test_one_that_cannot_be_opened_costs_only_time(
        self, store: DescriptorStore, tmp_path: Path
    ) -> None:
        path = tmp_path / "a.wav"
        path.write_bytes(b"x")
        store.manifest.path.mkdir(parents=True)
        assert store.digest(path) == audio.content_digest(path)
        assert store.failures() == {}

    def test_a_locked_one_is_waited_for_once(
        self,
        store: DescriptorStore,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        path = tmp_path / "a.wav"
        path.write_bytes(b"x")
        store.digest(path)
        monkeypatch.setattr(manifest_module, "TIMEOUT_S", 0.05)
        with closing(sqlite3.connect(store.manifest.path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            for _ in range(3):
                digest = DescriptorStore(store.cache_dir).digest(path)
                assert digest == audio.content_digest(path)
        (line,) = caplog.messages
        assert line.startswith(f"{store.manifest.path}: locked by another process for 0.05 s")

    def test_more_files_than_a_statement_takes(self, tmp_path: Path) -> None:
        manifest = Manifest(tmp_path / "m.sqlite")
        files = {FileState(b"/%d" % i, i, i, i): f"{i:032x}" for i in range(1200)}
        manifest.remember(files)
        assert manifest.digests(files) == files == manifest.all_files()

    def test_failures_hold_for_one_decoder(
        self, store: DescriptorStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.remember_failures({"d": "no audio"})
        store.remember_failures({"e": "cut short"})
        assert DescriptorStore(store.cache_dir).failures() == {"d": "no audio", "e": "cut short"}
        monkeypatch.setattr(desc, "__version__", "another")
        assert store.failures() == {}

    @pytest.mark.parametrize("content", ["", "[]", '{"decoder": 1}', "\udcff"])
    def test_damaged_failures_are_forgotten(self, store: DescriptorStore, content: str) -> None:
        store.remember_failures({"d": "no audio"})
        (path,) = store.cache_dir.glob("failures*")
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
        assert store.failures() == {}
        store.remember_failures({"e": "cut short"})
        assert store.failures() == {"e": "cut short"}


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
        assert store.packed(sequences).shape == (11, 39)

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

    def test_descriptors_gone_meanwhile_are_an_error(self, store: DescriptorStore) -> None:
        with pytest.raises(StorageError, match=r"descriptors of x\.wav are gone"):
            store.load_all(["0" * 32], CONFIG, ["x.wav"])


class TestMaintenance:
    def test_summary(self, store: DescriptorStore, make_wav: Callable[..., Path]) -> None:
        store.save(sequence_of())
        store.packed([sequence_of()])
        path = make_wav("a.flac", duration_s=0.1)
        store.open_audio(path, store.digest(path), 44100, [(0, 1)])
        summary = store.summary()
        assert (summary.descriptors.n_files, summary.audio.n_files, summary.packed.n_files) == (
            *(1, 1),
            1,
        )
        assert summary.n_known_files == 1
        assert summary.n_bytes == sum(
            p.stat().st_size for p in store.cache_dir.rglob("*.*") if "manifest" not in p.name
        )
        assert str(store.cache_dir) in str(summary)

    def test_limit_removes_what_was_used_longest_ago(self, store: DescriptorStore) -> None:
        for seed in range(4):
            store.save(sequence_of(seed=seed))
            age(shards(store)[seed], 1000 - seed)
        store.load(sequence_of(seed=0).digest, CONFIG, "x")  # used again
        sizes = [path.stat().st_size for path in shards(store)]  # a byte apart, by their checksums
        removed = store.limit(sizes[0] + sizes[3])
        assert (removed.n_files, removed.n_bytes) == (2, sizes[1] + sizes[2])
        assert [p.stem for p in shards(store)] == [f"{seed:032x}" for seed in (0, 3)]
        assert store.limit(10**9).n_files == 0
        with pytest.raises(ConfigurationError, match="max_bytes=-1"):
            store.limit(-1)

    def test_what_a_running_process_uses_stays(self, store: DescriptorStore) -> None:
        for seed in range(4):
            store.save(sequence_of(seed=seed))
            age(shards(store)[seed], 1000 - seed)
        program = (
            "import sys, desc; from desc.storage import DescriptorStore\n"
            "store = DescriptorStore(sys.argv[1])\n"
            "assert store.load('0' * 32, desc.DescriptorConfig(), 'x')\n"
            "print('ready', flush=True); sys.stdin.read()"
        )
        words = [sys.executable, "-c", program, str(store.cache_dir)]
        with Popen(words, stdin=PIPE, stdout=PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == b"ready"
            store.limit(0)
            assert [path.stem for path in shards(store)] == ["0" * 32]
            process.kill()
        store.limit(0)
        assert shards(store) == []
        names = [path.name for path in (store.cache_dir / "running").iterdir()]
        assert not any(f"-{process.pid}-" in name for name in names)

    @pytest.mark.parametrize(("limit", "n_left"), [("", 4), ("0", 0), ("x", None)])
    def test_a_process_leaves_no_more_than_the_limit(
        self, store: DescriptorStore, limit: str, n_left: int | None
    ) -> None:
        for seed in range(3):
            store.save(sequence_of(seed=seed))
        program = (
            "import sys, numpy as np, desc; from desc.storage import DescriptorStore\n"
            "config = desc.DescriptorConfig()\n"
            "one = desc.DescriptorSequence(np.zeros((3, 39), 'f4'), config, 'x', 'd', 2048)\n"
            "store = DescriptorStore(sys.argv[1])\n"
            "assert store.missing(['d'], config)\n"
            "store.save(one)"
        )
        environment = os.environ | {"DESC_CACHE_LIMIT_GB": limit}
        words = [sys.executable, "-c", program, str(store.cache_dir)]
        process = run(words, env=environment, capture_output=True, text=True, check=False)
        if n_left is None:
            assert "DESC_CACHE_LIMIT_GB='x' must be a number of at least 0" in process.stderr
        else:
            assert process.stderr == ""
            assert len(shards(store)) == n_left

    def test_prune_keeps_what_belongs_to_files_that_are_there(
        self, store: DescriptorStore, tmp_path: Path
    ) -> None:
        contents = {"kept": b"k", "moved": b"m", "gone": b"g", "changed": b"c"}
        paths = {name: tmp_path / f"{name}.wav" for name in contents}
        digests = {}
        for seed, (name, content) in enumerate(contents.items()):
            paths[name].write_bytes(content)
            digests[name] = store.digest(paths[name])
            values = sequence_of(seed=seed)
            store.save(DescriptorSequence(values.values, CONFIG, name, digests[name], 7))
        kept = [store.load(digests[name], CONFIG, name) for name in ("kept", "moved")]
        store.packed([s for s in kept if s])
        gone = store.load(digests["gone"], CONFIG, "gone")
        assert gone is not None
        store.packed([*(s for s in kept if s), gone])
        for path in (store.cache_dir / "packed").rglob("*.npy"):
            age(path, 3600)
        store.packed([s for s in kept if s])  # used now
        store.save(sequence_of(seed=99))  # not of any file the manifest knows

        paths["moved"].rename(tmp_path / "elsewhere.wav")
        store.digest(tmp_path / "elsewhere.wav")
        paths["gone"].unlink()
        paths["changed"].write_bytes(b"other")
        assert store.prune().n_files == 3  # two shards, one packed view
        stems = {path.stem for path in shards(store)}
        assert stems == {digests["kept"], digests["moved"], f"{99:032x}"}
        assert store.summary().packed.n_files == 1
        assert store.prune().n_files == 0

    def test_prune_removes_what_killed_writers_and_old_formats_left(
        self, store: DescriptorStore
    ) -> None:
        store.save(sequence_of())
        folder = shards(store)[0].parent
        at_work, abandoned = folder / ".a.1234.partial.npy", folder / ".b.1234.partial.npy"
        old = store.cache_dir / "descriptors" / "v0" / "x.npy"
        old.parent.mkdir()
        for path in (at_work, abandoned, old):
            path.write_bytes(b"half")
        age(abandoned, 3600)
        assert store.prune().n_files == 2
        assert at_work.exists()
        assert not abandoned.exists()
        assert not old.exists()
        assert len(shards(store)) == 2  # the shard and the one at work


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
