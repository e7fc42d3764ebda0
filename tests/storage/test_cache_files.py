"""Limits and leftovers of the cache."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, Popen, run

import pytest

from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError
from desc.storage import DescriptorStore
from tests.storage.conftest import CONFIG, age, sequence_of, shards


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
            "values = np.zeros((3, config.n_columns), 'f4')\n"
            "one = desc.DescriptorSequence(values, config, 'x', 'd', 2048)\n"
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
