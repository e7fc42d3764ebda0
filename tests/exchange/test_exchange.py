"""Descriptors to and from files of other programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from desc.configuration import from_dict
from desc.corpus import Corpus, open_corpus
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError, CorpusError, OutputError, StorageError
from desc.exchange import (
    FORMATS,
    export_corpus,
    read_descriptor_json,
    read_json_folder,
    write_descriptor_json,
)
from desc.progress import reporting
from desc.storage import DescriptorStore
from tests.fuzzing import fuzz

CONFIG = DescriptorConfig(descriptors=("mfcc",))
SMALL = DescriptorConfig(n_mfcc=1, descriptors=("mfcc",))  # the columns mfcc0 mfcc1 mfcc2


def values_of(n_frames: int, seed: int = 0, n_columns: int = 3) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal((n_frames, n_columns)).astype("f4")


def earlier_json(path: Path, recording: str, n_frames: int = 5, **changes: object) -> Path:
    """Write what the earlier program wrote, with indents and the columns first."""
    content: dict[str, object] = {
        f"mfcc{i}": column.tolist() for i, column in enumerate(values_of(n_frames).T)
    }
    content["_id"] = [recording] * n_frames
    content["_sample"] = [t * 1024 for t in range(n_frames)]
    content |= changes
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({k: v for k, v in content.items() if v is not None}, indent=2), encoding="utf-8"
    )
    return path


def corpus_of(*sources: str, root: Path = Path("/rec"), n_frames: int = 4) -> Corpus:
    sequences = tuple(
        DescriptorSequence(
            values_of(n_frames, i), SMALL, source, f"{i:032x}", (n_frames - 1) * 1024 + 9
        )
        for i, source in enumerate(sources)
    )
    return Corpus(root, SMALL, sequences, (), 0)


@pytest.fixture
def store(tmp_path: Path) -> DescriptorStore:
    return DescriptorStore(tmp_path / "cache")


class TestJson:
    @settings(max_examples=40, deadline=None)
    @given(
        values=st_numpy.arrays(
            np.float32,
            st.tuples(st.integers(1, 12), st.just(3)),
            elements=st.floats(-(2.0**96), 2.0**96, width=32),
        ),
        recording=st.text(min_size=1).filter(lambda text: "\0" not in text),
    )
    def test_round_trip(
        self, tmp_path_factory: pytest.TempPathFactory, values: Any, recording: str
    ) -> None:
        path = tmp_path_factory.mktemp("json") / "x.json"
        samples = [t * 1024 for t in range(len(values))]
        write_descriptor_json(path, [recording] * len(values), samples, values, SMALL.names)
        (sequence,) = read_descriptor_json(path, SMALL)
        assert sequence.source == recording
        np.testing.assert_array_equal(sequence.values, values)
        assert len(sequence) == SMALL.n_frames(sequence.n_samples)

    def test_it_is_the_earlier_form(self, tmp_path: Path) -> None:
        path = tmp_path / "deep" / "x.json"
        meta = {"request": {"seed": 3}, "ü": None}
        write_descriptor_json(path, ["ä.wav"] * 2, [0, 1024], [[1, 2.5], [3, 4]], ["a", "b"], meta)
        assert json.loads(path.read_text()) == {
            "_id": ["ä.wav", "ä.wav"],
            "_sample": [0, 1024],
            "a": [1, 3],
            "b": [2.5, 4],
            "_meta": meta,
        }

    def test_what_cannot_be_written_leaves_no_file(self, tmp_path: Path) -> None:
        path = tmp_path / "x.json"
        with pytest.raises(StorageError, match="column b holds a number that is not finite"):
            write_descriptor_json(path, ["a"], [0], [[1, np.nan]], ["a", "b"])
        with pytest.raises(ConfigurationError, match=r"must be \(T, D\) = \(1, 2\)"):
            write_descriptor_json(path, ["a"], [0], [[1, 2, 3]], ["a", "b"])
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_descriptor_json(path, ["a"], [0], [[1]], ["a"], {"x": float("nan")})
        assert list(tmp_path.iterdir()) == []

    def test_a_file_of_several_recordings(self, tmp_path: Path) -> None:
        path = earlier_json(
            tmp_path / "x.json",
            "",
            _id=["b.wav", "b.wav", "a.wav", "b.wav", "a.wav"],
            _sample=[0, 1024, 0, 2048, 1024],
        )
        first, second = read_descriptor_json(path, SMALL)
        assert (first.source, second.source) == ("b.wav", "a.wav")
        np.testing.assert_array_equal(first.values, values_of(5)[[0, 1, 3]])
        np.testing.assert_array_equal(second.values, values_of(5)[[2, 4]])
        assert first.n_samples == 2048  # the shortest recording of three frames
        assert first.digest != second.digest

    def test_the_digest_is_that_of_the_values(self, tmp_path: Path) -> None:
        names = ("one", "two")
        digests = {
            read_descriptor_json(earlier_json(tmp_path / f"{n}.json", n), SMALL)[0].digest
            for n in names
        }
        assert len(digests) == 1
        assert len(digests.pop()) == 32

    def test_another_hop_is_an_error_that_names_both(self, tmp_path: Path) -> None:
        path = earlier_json(tmp_path / "x.json", "a.wav", _sample=[0, 512, 1024, 1536, 2048])
        with pytest.raises(ConfigurationError, match=r"x\.json: .*512 .*hop_length=1024"):
            read_descriptor_json(path, SMALL)
        fitting = replace(SMALL, hop_length=512)
        assert len(read_descriptor_json(path, fitting)[0]) == 5

    def test_another_setting_that_the_file_knows_is_an_error(self, tmp_path: Path) -> None:
        export_corpus(corpus_of("a.wav"), "json", tmp_path)
        other = replace(SMALL, sample_rate=22050)
        with pytest.raises(ConfigurationError, match=r"sample_rate=44100.*sample_rate=22050"):
            read_descriptor_json(tmp_path / "a.wav.json", other)

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"_id": None}, "no descriptor JSON.*_id"),
            ({"_sample": None}, "_sample must be a list"),
            ({"_id": [], "_sample": []}, "_id must hold the path"),
            ({"_id": ["a.wav"]}, "_sample must be a list of 1 finite"),
            ({"_id": [1, 2, 3, 4, 5]}, "_id must hold the path"),
            ({"_sample": [0, 1024, 2048, 3072, "x"]}, "_sample must be a list of 5 finite numbers"),
            ({"_sample": [0, 1024, 2048, 3072, 1e300]}, "_sample must"),
            ({"_sample": [0, 0.5, 1, 1.5, 2]}, "whole numbers"),
            ({"_sample": [0, 1024, 2048, 4096, 5120]}, "equal steps"),
            ({"_sample": [1024, 2048, 3072, 4096, 5120]}, "begin at 0"),
            ({"_sample": [0, 0, 0, 0, 0]}, "equal steps"),
            ({"mfcc1": None}, "columns mfcc1 are missing"),
            ({"mfcc3": [0.0] * 5}, "columns mfcc3 .*not in the settings"),
            ({"mfcc1": [0.0] * 4}, "mfcc1 must be a list of 5 finite"),
            ({"mfcc1": [0.0, 1.0, None, 2.0, 3.0]}, "mfcc1 must be a list of 5 finite numbers"),
            ({"mfcc1": [0.0, 1.0, float("nan"), 2.0, 3.0]}, "finite"),
            ({"mfcc1": [0.0, 1.0, 10**400, 2.0, 3.0]}, "finite"),
            ({"mfcc1": [True] * 5}, "list of 5 finite numbers"),
        ],
    )
    def test_files_of_another_shape(
        self, tmp_path: Path, changes: dict[str, object], reason: str
    ) -> None:
        path = earlier_json(tmp_path / "x.json", "a.wav", **changes)
        with pytest.raises(StorageError, match=rf"x\.json: .*{reason}"):
            read_descriptor_json(path, SMALL)

    @pytest.mark.parametrize("text", ["", "[1, 2]", "{", '"_id"', "\udcff", "[" * 100_000])
    def test_files_that_are_no_such_json(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "x.json"
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(StorageError, match=r"x\.json: no "):
            read_descriptor_json(path, SMALL)

    def test_a_fuzzed_file_ends_in_an_error_that_names_it(self, tmp_path: Path) -> None:
        path = earlier_json(tmp_path / "fuzzed.json", "a.wav", _meta={"n_samples": 4200})
        fuzz(path, lambda damaged: read_descriptor_json(damaged, SMALL), 300)

    def test_columns_of_other_families_are_not_read(self, tmp_path: Path) -> None:
        path = earlier_json(tmp_path / "x.json", "a.wav", cent=[1.0] * 5)
        (sequence,) = read_descriptor_json(path, SMALL)
        assert sequence.values.shape == (5, 3)


class TestFolder:
    def test_recordings_of_the_folder(self, tmp_path: Path, store: DescriptorStore) -> None:
        """Absolute and relative paths, below the folder and below the JSON's."""
        root = tmp_path / "rec"
        earlier_json(root / "x.json", str(root / "sub" / "a.wav"))
        earlier_json(root / "sub" / "y.json", "b.wav", 6)
        earlier_json(root / "z.json", "sub/c.wav", 7)
        earlier_json(root / "other.json", "x", _id=None)
        (root / "sub" / "b.wav").write_bytes(b"x")
        (root / "readme.txt").touch()
        corpus = open_corpus(root, SMALL, store, exclude="sub/b.wav")
        assert corpus.root == root
        sources = [s.source for s in corpus.sequences]
        assert sources == ["sub/a.wav", "sub/b.wav", "sub/c.wav"]
        assert [len(s) for s in corpus.sequences] == [5, 6, 7]
        assert corpus.n_extracted == 0
        skipped = {s.source: s.reason for s in corpus.skipped}
        assert list(skipped) == ["other.json", "sub/a.wav", "sub/c.wav"]
        assert skipped["other.json"].startswith("no descriptor JSON")
        assert "does not exist" in skipped["sub/a.wav"]
        assert [s.source for s in corpus.ignored] == ["readme.txt", "sub/b.wav"]

    def test_audio_goes_before_json(
        self, tmp_path: Path, store: DescriptorStore, make_wav: Callable[..., Path]
    ) -> None:
        make_wav("rec/a.wav", duration_s=0.3)
        earlier_json(tmp_path / "rec" / "x.json", "gone.wav")
        corpus = open_corpus(tmp_path / "rec", SMALL, store)
        assert [s.source for s in corpus.sequences] == ["a.wav"]
        assert [s.source for s in corpus.ignored] == ["x.json"]

    def test_recordings_elsewhere_give_the_root(self, tmp_path: Path) -> None:
        files = [
            (earlier_json(tmp_path / "json" / f"{i}.json", f"/music/{name}"), f"{i}.json")
            for i, name in enumerate(("a/x.wav", "b/x.wav"))
        ]
        root, sequences, problems = read_json_folder(files, tmp_path / "json", SMALL)
        assert root == Path("/music").absolute()
        assert [s.source for s in sequences] == ["a/x.wav", "b/x.wav"]
        assert set(problems) == {"a/x.wav", "b/x.wav"}

    @pytest.mark.skipif(sys.platform == "win32", reason="such paths exist there")
    def test_paths_of_another_system(self, tmp_path: Path) -> None:
        path = earlier_json(tmp_path / "x.json", "C:\\music\\a.wav")
        root, (sequence,), problems = read_json_folder([(path, "x.json")], tmp_path, SMALL)
        assert root == tmp_path
        assert sequence.source == "music/a.wav"
        assert "C:\\music\\a.wav does not exist" in problems["music/a.wav"]

    def test_sources_never_lead_outside(self, tmp_path: Path) -> None:
        path = earlier_json(tmp_path / "json" / "x.json", "../../a/../b.wav")
        root, (sequence,), _ = read_json_folder([(path, "x.json")], tmp_path / "json", SMALL)
        assert sequence.source == "b.wav"
        assert root == tmp_path.parent

    def test_one_recording_in_two_files(self, tmp_path: Path) -> None:
        names = ("x.json", "y.json")
        files = [(earlier_json(tmp_path / name, "a.wav"), name) for name in names]
        _, sequences, problems = read_json_folder(files, tmp_path, SMALL)
        assert len(sequences) == 1
        assert problems["y.json"] == "a.wav is in another file already"

    def test_another_hop_is_an_error(self, tmp_path: Path, store: DescriptorStore) -> None:
        earlier_json(tmp_path / "x.json", "a.wav")
        config = replace(SMALL, hop_length=256)
        with pytest.raises(ConfigurationError, match=r"1024 samples apart.*hop_length=256"):
            open_corpus(tmp_path, config, store)
        adopted = open_corpus(tmp_path, config, store, adopt_hop=True)
        assert adopted.config == SMALL
        assert adopted.sequences[0].config == SMALL

    def test_recordings_that_are_gone_can_be_left_out(
        self, tmp_path: Path, store: DescriptorStore
    ) -> None:
        (tmp_path / "a.wav").touch()
        earlier_json(tmp_path / "json" / "x.json", str(tmp_path / "a.wav"))
        earlier_json(tmp_path / "json" / "y.json", str(tmp_path / "b.wav"))
        corpus = open_corpus(tmp_path / "json", SMALL, store)
        assert [s.source for s in corpus.sequences] == ["a.wav", "b.wav"]
        assert [s.source for s in corpus.with_sound().sequences] == ["a.wav"]
        (tmp_path / "a.wav").unlink()
        with pytest.raises(CorpusError, match="none of the recordings exists"):
            corpus.with_sound()

    def test_json_of_other_kinds_only(self, tmp_path: Path, store: DescriptorStore) -> None:
        (tmp_path / "package.json").write_text("{}")
        (tmp_path / "notes.txt").touch()
        with pytest.raises(CorpusError, match=r"package\.json: no descriptor JSON") as caught:
            open_corpus(tmp_path, SMALL, store)
        assert "notes.txt" in str(caught.value)

    def test_one_json_file(self, tmp_path: Path, store: DescriptorStore) -> None:
        path = earlier_json(tmp_path / "x.json", "a.wav")
        corpus = open_corpus(path, SMALL, store)
        assert corpus.root == tmp_path
        assert [s.source for s in corpus.sequences] == ["a.wav"]

    def test_exported_and_read_again(
        self, tmp_path: Path, store: DescriptorStore, make_wav: Callable[..., Path]
    ) -> None:
        for name in ("rec/a.wav", "rec/b/a.wav"):
            make_wav(name, kind="notes", duration_s=0.5, seed=len(name))
        corpus = open_corpus(tmp_path / "rec", CONFIG, store, jobs=1)
        export_corpus(corpus, "json", tmp_path / "json")
        again = open_corpus(tmp_path / "json", CONFIG, store)
        assert again.root == corpus.root
        assert again.skipped == ()
        for one, other in zip(again.sequences, corpus.sequences, strict=True):
            assert (one.source, one.n_samples) == (other.source, other.n_samples)
            np.testing.assert_array_equal(one.values, other.values)


class TestExport:
    @pytest.mark.parametrize("format", FORMATS)
    def test_one_file_per_recording(self, tmp_path: Path, format: str) -> None:
        calls: list[tuple[str, int, int]] = []
        corpus = corpus_of("a.wav", "a.ogg", "b/a.wav")
        with reporting(lambda *call: calls.append(call)):
            written = export_corpus(corpus, format, tmp_path)
        names = ["a.wav", "a.ogg", "b/a.wav"]
        assert written == [tmp_path / f"{name}.{format}" for name in names]
        assert sorted(tmp_path.rglob(f"*.{format}")) == sorted(written)
        assert not list(tmp_path.rglob(".*"))
        assert calls == [("export", i, 3) for i in (1, 2, 3)]

    def test_one_that_cannot_be_written_does_not_stop_the_others(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        long = f"{'n' * 251}.wav"  # with ".csv" longer than a name may be
        written = export_corpus(corpus_of("a.wav", long, "b/c.wav"), "csv", tmp_path)
        assert written == [tmp_path / "a.wav.csv", tmp_path / "b" / "c.wav.csv"]
        (line,) = caplog.messages
        assert line.startswith(f"{long} is not exported: ")
        with pytest.raises(StorageError, match="cannot be written: File name too long"):
            export_corpus(corpus_of(long), "csv", tmp_path)

    def test_npz(self, tmp_path: Path) -> None:
        corpus = corpus_of("b/a.wav")
        (path,) = export_corpus(corpus, "npz", tmp_path)
        with np.load(path, allow_pickle=False) as file:
            np.testing.assert_array_equal(file["values"], corpus.sequences[0].values)
            assert file["names"].tolist() == ["mfcc0", "mfcc1", "mfcc2"]
            assert file["centre_samples"].tolist() == [0, 1024, 2048, 3072]
            assert from_dict(DescriptorConfig, json.loads(str(file["config"]))) == SMALL
            assert (str(file["source"]), int(file["n_samples"])) == ("b/a.wav", 3081)

    def test_csv(self, tmp_path: Path) -> None:
        corpus = corpus_of("a.wav")
        (path,) = export_corpus(corpus, "csv", tmp_path)
        assert path.read_text().splitlines()[0] == "_sample,mfcc0,mfcc1,mfcc2"
        table = np.loadtxt(path, delimiter=",", skiprows=1)
        assert table[:, 0].tolist() == [0, 1024, 2048, 3072]
        np.testing.assert_array_equal(table[:, 1:].astype("f4"), corpus.sequences[0].values)

    def test_parquet(self, tmp_path: Path) -> None:
        parquet = pytest.importorskip("pyarrow.parquet")
        corpus = corpus_of("a.wav")
        (path,) = export_corpus(corpus, "parquet", tmp_path)
        table = parquet.read_table(path)
        assert table.column_names == ["_sample", "mfcc0", "mfcc1", "mfcc2"]
        np.testing.assert_array_equal(table["mfcc2"], corpus.sequences[0].values[:, 2])
        about = json.loads(table.schema.metadata[b"desc"])
        assert from_dict(DescriptorConfig, about["config"]) == SMALL

    def test_json_names_the_recording(self, tmp_path: Path) -> None:
        (path,) = export_corpus(corpus_of("b/a.wav"), "json", tmp_path)
        content = json.loads(path.read_text())
        assert content["_id"] == [Path("/rec/b/a.wav").as_posix()] * 4
        assert content["_meta"]["source"] == "b/a.wav"

    def test_parquet_without_pyarrow(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(ConfigurationError, match=r"pyarrow.*\[parquet\]"):
            export_corpus(corpus_of("a.wav"), "parquet", tmp_path)

    def test_unknown_format(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="npz, json, csv, parquet"):
            export_corpus(corpus_of("a.wav"), "xml", tmp_path)

    @pytest.mark.parametrize("source", ["../a.wav", "/abs/a.wav", "b/../../a.wav"])
    def test_no_file_outside_the_folder(self, tmp_path: Path, source: str) -> None:
        with pytest.raises(OutputError, match="must lie in"):
            export_corpus(corpus_of(source), "npz", tmp_path / "out")
        assert not list(tmp_path.rglob("*.npz"))

    @pytest.mark.skipif(sys.platform == "win32", reason="needs links")
    def test_no_file_outside_the_folder_through_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "out" / "b").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(OutputError, match="must lie in"):
            export_corpus(corpus_of("b/a.wav"), "npz", tmp_path / "out")

    def test_other_files_stay(self, tmp_path: Path) -> None:
        (tmp_path / "keep.txt").write_text("mine")
        export_corpus(corpus_of("a.wav"), "npz", tmp_path)
        export_corpus(corpus_of("a.wav", n_frames=2), "npz", tmp_path)
        assert (tmp_path / "keep.txt").read_text() == "mine"
        with np.load(tmp_path / "a.wav.npz") as file:
            assert len(file["values"]) == 2
