"""Unit selection, measured on the rendered sound: nearest, fixed units, beam search and styles.

    python benchmarks/selection.py                                 # the demo corpus
    python benchmarks/selection.py --folder large_folder/ --targets held_out/
    python benchmarks/selection.py --folder large_folder/ --targets held_out/ --run_id 1t212ycn \\
        --sampling plain replay
    python benchmarks/selection.py --folder larger/ --targets held_out/ --methods nearest beam
    python benchmarks/selection.py --folder larger/ --targets held_out/ --descriptors mfcc f0
    python benchmarks/selection.py --folder larger/ --targets held_out/ --per_file 6 \\
        --judge musicnn-0.1.0-py3-none-any.whl --methods beam "continuity 4" phrases loops

Targets are excerpts of real recordings, matched with other files. With a run id (or a run's
folder), continuations sampled from the run follow. One thread, CPU seconds. Columns (z: static MFCC
standardised by the folder's mean and deviation):
run      mean length of a unit in frames
nrep     share of frames within two rows of one that an earlier unit played in the last .5 s
again    share of frames whose exact row was played in the last .5 s
jump     median rms distance in z between a unit's true successor and the row jumped to
leap     median interval in semitones at these jumps, where both have a pitch (with f0 among
         the descriptors)
e_t      rms error in z of the descriptors of the rendered sound
FD       Fréchet distance of window features of the rendered sound to those of the real excerpts
mod      difference of modulation spectra in dB; diff: ratio of frame-to-frame change
line     loudness movement at the frame rate over that around it, dB
flux     spectral flux at joins over flux elsewhere; dips: joins at which the power falls by 3 dB
s/1000   CPU seconds of a match per 1,000 frames, the search for neighbours included
With --judge, beside the real excerpts:
KAD      kernel audio distance by a music tagger; low for long copies, so see the last column
chroma   mean cosine of the pitch classes; pulse: how regular the onsets are (0 to 1)
copy     seconds of the longest stretch from one place; jumps by less than half a second stay there
The lines `real` are references: the excerpts' own sound, re-extracted, with random points in place
of joins; and other excerpts of the same tracks.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rendered
from measuring import cpu_s
from scipy.spatial.distance import cdist

import desc
from desc.configuration import SAMPLINGS, RenderConfig, SelectionConfig
from desc.corpus import Corpus
from desc.corpus.ending import until_music_end
from desc.demo.corpus import write_corpus
from desc.descriptors.pitch import VOICED
from desc.descriptors.sequence import DescriptorSequence
from desc.evaluation.sound import Pieces
from desc.matching import Matcher, Unit, repeat_share, to_playlist
from desc.matching.levels import with_gains
from desc.matching.units import rows_of_units, units_of_rows
from desc.metrics.movement import diff_ratio, modspec_db
from desc.metrics.realism import frechet_distance
from desc.metrics.sound import dips, flux_at
from desc.metrics.windows import window_features

FIXED_FRAMES = 11  # 255 ms at 1,024 samples of 44.1 kHz
CANDIDATES = SelectionConfig().candidates
COLUMNS = (
    ("run", "7.1f"), ("nrep", "7.3f"), ("again", "7.3f"), ("jump", "6.2f"), ("leap", "6.2f"),
    ("e_t", "6.3f"), ("FD", "7.2f"), ("mod", "6.2f"), ("diff", "6.2f"), ("line", "6.1f"),
    ("flux", "6.2f"), ("dips", "7.3f"), ("s/1000", "8.3f"),
    ("KAD", "7.1f"), ("chroma", "7.3f"), ("pulse", "7.3f"), ("copy", "6.2f"),
)  # fmt: skip
Units = tuple[Unit, ...]
Values = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Target:
    """Target of a match: an excerpt, or a continuation of its context."""

    values: Values  # (T, D) asked for
    sequence: DescriptorSequence
    start: int  # frame of the recording at which it begins


def select_fixed(matcher: Matcher, queries: Values, digest: str) -> Units:
    """Choose, for every 255 ms, the stretch whose frames are nearest in the mean."""
    database, rows = matcher.database, matcher.coordinates
    points, usable = matcher.space.project(queries), ~database.rows_of(digest)
    chosen = []
    for start in range(0, len(points), FIXED_FRAMES):
        block = points[start : start + FIXED_FRAMES]
        n_starts = len(rows) - len(block) + 1
        last = len(block) - 1
        whole = database.file_index[:n_starts] == database.file_index[last : last + n_starts]
        near = cdist(block, rows)
        total = sum(near[i, i : i + n_starts] for i in range(len(block)))
        best = int(np.argmin(np.where(whole & usable[:n_starts], total, np.inf)))
        chosen += range(best, best + len(block))
    found = np.array(chosen, np.int64)
    units = units_of_rows(found, np.zeros(len(found)), database)
    return with_gains(units, queries, database, limit_db=SelectionConfig().unit_gain_db)


def excerpts(corpus: Corpus, root: Path, per_file: int, n_frames: int) -> list[Target]:
    """Return excerpts spread over the recordings, as far apart as they allow, before their end."""
    found = []
    for whole in corpus.sequences:
        sequence = until_music_end(whole, root / whole.source)
        room = len(sequence) - 2 * n_frames
        for start in (
            np.linspace(n_frames, n_frames + room, per_file).astype(int) if room > 0 else ()
        ):
            values = sequence.values[start : start + n_frames]
            found.append(Target(values, sequence, int(start)))
    return found


def sampled(targets: list[Target], predictor: desc.Predictor, sampling: str) -> list[Target]:
    """Return a model's continuations of what comes before each excerpt."""
    hop, found = predictor.config.hop_length, []
    for index, target in enumerate(targets):
        before = target.sequence.values[: target.start]
        context = dataclasses.replace(target.sequence, values=before, n_samples=len(before) * hop)
        n_frames = len(target.values)
        settings = desc.Sampling(sampling=sampling, seed=index)
        prediction = predictor.predict(context, settings, frames=n_frames)
        found.append(dataclasses.replace(target, values=prediction.values))
    return found


class Judge:
    """Renders selections and measures them against the real excerpts."""

    def __init__(
        self, database: desc.DescriptorDatabase, real: list[Target], root: Path,
        store: desc.DescriptorStore, work: Path,
    ) -> None:  # fmt: skip
        self.database, self.real, self._store, self._work = database, real, store, work
        self.config = database.config
        self._columns = list(self.config.groups["mfcc"])
        static = database.values[:, self._columns].astype(np.float64)
        self._mean, self._scale = static.mean(0), static.std(0)
        parts = [window_features(self.z(database.values[i : i + 4096]))
                 for i in range(0, len(database), 4096)]  # fmt: skip
        self._spread = np.concatenate(parts).std(0)
        self._sounds: dict[str, tuple[rendered.Audio, float]] = {}
        for target in real:
            source = target.sequence.source
            if source not in self._sounds:
                sound = rendered.mono(root / source, self.config.sample_rate)
                level = float(rendered.log_mel(sound, self.config, offset=0).max())
                self._sounds[source] = sound, level
        self._wanted = np.stack([self.z(target.values) for target in real])
        self.listener: rendered.Listener | None = None

    def sound_of(self, target: Target) -> rendered.Audio:
        """Return what an excerpt itself sounds like, as long as its rendering."""
        hop = self.config.hop_length
        first = target.start * hop - hop // 2
        return self._sounds[target.sequence.source][0][first : first + len(target.values) * hop]

    def z(self, values: npt.NDArray) -> Array:
        """Return the MFCC (T, F) standardised; values hold all columns or these alone."""
        if values.shape[1] != len(self._columns):
            values = values[:, self._columns]
        return (values - self._mean) / self._scale

    def features(self, sequences: list[Array] | Array) -> Array:
        return np.concatenate([window_features(x) for x in sequences]) / self._spread

    def real_lines(self) -> None:
        """Print what the excerpts' own sound gives, and how far the tracks' other parts are."""
        hop, rng = self.config.hop_length, np.random.default_rng(0)
        signals, joins = [], []
        for target in self.real:
            n = len(target.values) * hop
            signals.append(self.sound_of(target))
            joins.append(np.sort(rng.choice(np.arange(1, n // hop), n // hop // 8, False)) * hop)
        self._print("real, re-extracted", self._of_sound(signals, joins, self._wanted))
        others = []
        for target in self.real:
            shifted = target.sequence.values[target.start - len(target.values) : target.start]
            others.append(self.z(shifted))
        self._print("real, elsewhere", self._likeness(np.stack(others)))

    def asked_line(self, targets: list[Target]) -> None:
        """Print how far what is asked for is from the real excerpts itself."""
        self._print("asked for", self._likeness(np.stack([self.z(t.values) for t in targets])))

    def _likeness(self, values: Array) -> dict[str, float]:
        """Return figures of descriptors (n, T, F) in z beside the real excerpts."""
        return {
            "FD": frechet_distance(self.features(values), self.features(self._wanted)),
            "mod": modspec_db(values, self._wanted, self.config.frame_rate),
            "diff": diff_ratio(values, self._wanted),
        }

    def judge(
        self, name: str, targets: list[Target], selections: list[Units], spent: float
    ) -> None:
        """Render, measure, print a line."""
        hop, signals, joins, copies = self.config.hop_length, [], [], []
        settings = RenderConfig(subtype="FLOAT", channels="mono")
        for units in selections:
            playlist = to_playlist(units, self.database, settings)
            desc.render_to_file(
                playlist, self._work / "r.wav", store=self._store, rendering=settings
            )
            signals.append(rendered.mono(self._work / "r.wav", self.config.sample_rate))
            copies.append(Pieces.of(playlist, hop).copies.max())
            joins.append(np.array(sorted({u.onset_frame * hop for u in units} - {0}), np.int64))
        asked = np.stack([self.z(target.values) for target in targets])
        figures = self._of_sound(signals, joins, asked)
        n_frames = sum(len(target.values) for target in targets)
        figures["run"] = np.mean([unit.n_frames for s in selections for unit in s])
        if self.listener:
            figures["copy"] = max(copies) / self.config.sample_rate
        figures["nrep"] = np.mean([repeat_share(s, self.database, 0.5) for s in selections])
        figures["again"] = np.mean(
            [repeats(rows_of_units(s), self.config.frame_rate) for s in selections]
        )
        figures["jump"] = np.median(np.concatenate([self._jumps(s) for s in selections]))
        if "f0" in self.config.groups:
            figures["leap"] = np.median(np.concatenate([self._leaps(s) for s in selections]))
        figures["s/1000"] = 1000 * spent / n_frames
        self._print(name, figures)

    def _joined(self, units: Units) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the rows that would have come next at jumps, and those jumped to, layer 0."""
        rows = rows_of_units(units)
        starts = np.array([unit.onset_frame for unit in units if not unit.layer][1:], np.int64)
        ahead = np.minimum(rows[starts - 1] + 1, len(self.database) - 1)
        same = self.database.file_index[ahead] == self.database.file_index[rows[starts - 1]]
        return ahead[same], rows[starts][same]

    def _jumps(self, units: Units) -> Array:
        a, b = (self.z(self.database.values[rows]) for rows in self._joined(units))
        return np.sqrt(((a - b) ** 2).mean(1))

    def _leaps(self, units: Units) -> Array:
        pitch, voicing = self.config.groups["f0"]
        a, b = (self.database.values[rows] for rows in self._joined(units))
        voiced = (a[:, voicing] > VOICED) & (b[:, voicing] > VOICED)
        return 12 * np.abs(a[voiced, pitch] - b[voiced, pitch]).astype(np.float64)

    def _of_sound(
        self, signals: list[rendered.Audio], joins: list[npt.NDArray[np.int64]], asked: Array
    ) -> dict[str, float]:
        rate = self.config.sample_rate
        again = np.stack([
            self.z(rendered.mfcc_again(
                signal, len(target.values), self._sounds[target.sequence.source][1], self.config
            ))
            for signal, target in zip(signals, self.real, strict=True)
        ])  # fmt: skip
        fluxes = [flux_at(x, j, rate) for x, j in zip(signals, joins, strict=True)]
        at, elsewhere = np.nanmean(np.array(fluxes), 0)
        falls = np.concatenate([dips(x, j, rate) for x, j in zip(signals, joins, strict=True)])
        return {
            "e_t": float(np.sqrt(np.mean((again - asked) ** 2))),
            **self._likeness(again),
            "line": rendered.frame_line_db(signals, self.config),
            "flux": at / elsewhere,
            "dips": float(falls.mean()),
            **(self.listener.figures(signals) if self.listener else {}),
        }

    @staticmethod
    def _print(name: str, figures: dict[str, float]) -> None:
        cells = (
            f"{figures[key]:{form}}" if key in figures else " " * int(form.split(".")[0])
            for key, form in COLUMNS
        )
        print(f"{name:20}" + "".join(cells), flush=True)


def repeats(rows: npt.NDArray[np.int64], frame_rate: float, within_s: float = 0.5) -> float:
    """Return the share of frames whose row was played shortly before."""
    again = np.zeros(len(rows), bool)
    for lag in range(1, int(within_s * frame_rate) + 1):
        again[lag:] |= rows[lag:] == rows[:-lag]
    return float(again.mean())


FIXED = "fixed 255 ms"
ANY_PITCH = "beam, any pitch"
GRANULAR = SelectionConfig.styled("granular")
METHODS: dict[str, SelectionConfig] = {
    "nearest": SelectionConfig(selection="nearest"),
    "grains of 255 ms": dataclasses.replace(GRANULAR, units="grain", grain_ms=255),
    "onsets": dataclasses.replace(GRANULAR, units="onset"),
    "beam": GRANULAR,
    ANY_PITCH: dataclasses.replace(GRANULAR, pitch_continuity=0.0),
    "beam, 2 layers": dataclasses.replace(GRANULAR, layers=2),
    "sample": dataclasses.replace(GRANULAR, selection="sample"),
    "continuity 4": dataclasses.replace(GRANULAR, continuity=4.0),
    "phrases": SelectionConfig(),
    "loops": SelectionConfig.styled("loops"),
}


def compare(judge: Judge, targets: list[Target], names: list[str]) -> None:
    """Print the lines of methods."""
    n_frames = sum(len(target.values) for target in targets)
    plain = Matcher(judge.database)
    plain.transitions  # noqa: B018 - the corpus is measured once, before the clock starts
    start = cpu_s()
    for target in targets:
        plain.neighbours(target.values, CANDIDATES, exclude_digest=target.sequence.digest)
    spent = cpu_s() - start
    print(f"{CANDIDATES} neighbours: {1000 * spent / n_frames:.3f} s per 1,000 frames")

    def select(name: str, index: int, matcher: Matcher) -> Units:
        values, digest = targets[index].values, targets[index].sequence.digest
        if name == FIXED:
            return select_fixed(matcher, values, digest)
        before = targets[index].sequence[targets[index].start :].before
        return matcher.match(values, before=before, seed=index, exclude_digest=digest).units

    for name in names:
        matcher = Matcher(judge.database, selection=METHODS.get(name, SelectionConfig()))
        matcher.transitions  # noqa: B018
        start = cpu_s()
        selections = [select(name, index, matcher) for index in range(len(targets))]
        judge.judge(name, targets, selections, cpu_s() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="sounds [default: the demo corpus]")
    parser.add_argument(
        "--targets", type=Path, help="recordings to be answered [default: the same]"
    )
    parser.add_argument(
        "--speeds", type=float, nargs="+", default=[], help="the folder at other speeds as well"
    )
    parser.add_argument("--per_file", type=int, default=4, help="excerpts of each recording")
    parser.add_argument("--n_frames", type=int, default=512)
    parser.add_argument("--run_id", help="also answer continuations sampled from this run")
    parser.add_argument("--sampling", nargs="+", choices=SAMPLINGS, default=["plain"])
    parser.add_argument("--experiment_dir", default="experiments")
    every = [*METHODS, FIXED]
    parser.add_argument("--methods", nargs="+", choices=every, metavar="NAME")
    families = desc.DescriptorConfig().descriptors
    parser.add_argument("--descriptors", nargs="+", default=families, metavar="FAMILY")
    parser.add_argument("--judge", type=Path, metavar="WHEEL", help="the tagger's weights")
    args = parser.parse_args()
    methods = args.methods or [n for n in every if "f0" in args.descriptors or n != ANY_PITCH]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if args.folder is None:
            write_corpus(work, 0)
        store = desc.DescriptorStore(work / "cache" if args.folder is None else None)
        config = desc.DescriptorConfig(descriptors=tuple(args.descriptors))
        corpus = desc.open_corpus(args.folder or work / "database", config, store, jobs=1)
        own = work / "recordings" if args.folder is None else args.folder
        root = args.targets or own
        held_out = desc.open_corpus(root, config, store, jobs=1)
        targets = excerpts(held_out, root, args.per_file, args.n_frames)
        corpus = desc.with_variants(corpus, args.speeds, store, jobs=1)
        database = desc.DescriptorDatabase.from_corpus(corpus, store)
        judge = Judge(database, targets, root, store, work)
        if args.judge:
            real = [judge.sound_of(target) for target in targets]
            judge.listener = rendered.Listener(args.judge, real, config.sample_rate)
        print(
            f"{len(database)} rows, {len(targets)} excerpts of {args.n_frames} frames, one thread\n"
        )
        print(f"{'':20}" + "".join(f"{name:>{width.split('.')[0]}}" for name, width in COLUMNS))
        judge.real_lines()
        print("\nthe excerpts")
        compare(judge, targets, methods)
        if args.run_id:
            run = desc.RunConfig(experiment_dir=args.experiment_dir)
            predictor = desc.Predictor.from_run(args.run_id, run=run, accelerator="cpu")
            for sampling in args.sampling:
                print(f"\ncontinuations, sampling {sampling}")
                drawn = sampled(targets, predictor, sampling)
                judge.asked_line(drawn)
                compare(judge, drawn, methods)


if __name__ == "__main__":
    main()
