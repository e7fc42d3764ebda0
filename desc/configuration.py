"""Settings as frozen dataclasses, checked where they are made.

A field is at once the keyword of the library, the option of the command line (`--window_size`),
the key of the W&B config and the field of the notebooks. Its metadata carries what the command
line shows: see `option`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from desc.errors import ConfigurationError

T = TypeVar("T")

Progress = Callable[[str, int, int], None]
"""Called by a stage of the library as progress(stage, done, total)."""
Note = Callable[[str], None]
"""Called by a stage of the library with one line the user should see."""


def option(
    default: Any,
    help: str,
    *,
    unit: str = "",
    aliases: tuple[str, ...] = (),
    choices: tuple[str, ...] | None = None,
    kind: type | None = None,
) -> Any:
    """Return a dataclass field that knows how to be a command line option.

    Parameters
    ----------
    default : object
        The default value.
    help : str
        One sentence, shown by `--help`.
    unit : str
        Unit of the number, appended to the help.
    aliases : tuple of str
        Older names that the command line still accepts, hidden from `--help`.
    choices : tuple of str, optional
        The values that are allowed.
    kind : type, optional
        Type of a value given on the command line; by default that of `default`.
    """
    metadata = {"help": help, "unit": unit, "aliases": aliases, "choices": choices, "kind": kind}
    return dataclasses.field(default=default, metadata=metadata)


def check(condition: bool, name: str, value: object, rule: str) -> None:
    """Raise `ConfigurationError` saying `name=value must rule` unless the condition holds."""
    if not condition:
        raise ConfigurationError(f"{name}={value!r} must {rule}")


def check_integer(name: str, value: object, minimum: int) -> None:
    """Refuse what is no integer of at least `minimum`."""
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    rule = f"be an integer of at least {minimum}"
    check(is_integer and value >= minimum, name, value, rule)  # type: ignore[operator]


def check_jobs(jobs: int) -> None:
    """Refuse a number of processes that means nothing."""
    check(jobs == -1 or jobs >= 1, "jobs", jobs, "be -1 (all cores) or at least 1")


def check_number(
    name: str,
    value: object,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    *,
    above: float | None = None,
) -> None:
    """Refuse what is no finite number within [minimum, maximum], or not above `above`."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    number = float(value) if is_number else math.nan  # type: ignore[arg-type]
    if above is not None:
        check(math.isfinite(number) and number > above, name, value, f"be a number above {above:g}")
        return
    bounds = f"be a number of at least {minimum:g}"
    if math.isfinite(maximum):
        bounds = f"be a number from {minimum:g} to {maximum:g}"
    check(math.isfinite(number) and minimum <= number <= maximum, name, value, bounds)


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse what is not one of the choices."""
    check(value in choices, name, value, "be one of " + ", ".join(choices))


def to_dict(config: Any) -> dict[str, Any]:
    """Return the fields of a configuration as plain JSON values (tuples become lists)."""
    return {
        field.name: list(value) if isinstance(value, tuple) else value
        for field in dataclasses.fields(config)
        for value in [getattr(config, field.name)]
    }


def from_dict(cls: type[T], values: dict[str, Any]) -> T:
    """Build a configuration from `to_dict`'s result; unknown keys are an error that names them."""
    names = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - names)
    if unknown:
        raise ConfigurationError(
            f"{cls.__name__} has no setting {', '.join(unknown)}; it has {', '.join(sorted(names))}"
        )
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


HEADS = ("mixture", "gaussian", "student_t", "mse")
SAMPLINGS = ("plain", "replay", "mean")
SELECTIONS = ("beam", "sample", "nearest")
UNITS = ("frame", "onset", "grain")
MAX_HOLD_S = 60.0
STRATEGIES = ("auto", "ddp", "ddp_spawn", "ddp_fork", "ddp_notebook")
MONITORS = (
    "val_loss", "val_fd", "val_acf", "val_modspec_db", "val_crps_43", "val_track_distance",
)  # fmt: skip
DISTANCES = ("euclidean", "cosine", "minkowski", "cityblock")
SUBTYPES = ("PCM_16", "PCM_24", "PCM_32", "FLOAT")


@dataclass(frozen=True)
class ModelConfig:
    """Which model, and its sizes. `None` leaves a size to the model (`desc.models` lists them)."""

    selected_model: str = option(
        "LSTM",
        "LSTM, LSTMEncoderDecoderModel, TransformerEncoderOnlyModel or TransformerModel",
    )
    window_size: int = option(48, "length of the input sequence", unit="frames")
    forecast_size: int = option(
        32, "length of the sequence that the sequence models predict at once", unit="frames"
    )
    hidden_size: int | None = option(None, "width of the network (default: the model's)", kind=int)
    num_layers: int | None = option(None, "layers (default: the model's)", kind=int)
    nhead: int | None = option(None, "attention heads (default: the model's)", kind=int)
    dim_feedforward: int | None = option(
        None, "width of the transformers' feed-forward part (default: the model's)", kind=int
    )
    dropout: float = option(0.3, "share of activations dropped in training", unit="0 to 1")
    style_noise: float = option(
        0.3, "spread of the noise that training adds to the description of the context"
    )
    head: str = option(
        "mixture", "output distribution; mse is the deterministic peer", choices=HEADS
    )
    n_components: int = option(8, "components of the mixture head")
    context_size: int = option(
        320, "frames before the window whose statistics condition the model; 0: none", unit="frames"
    )
    add_positional_embedding: bool = option(
        True, "accepted and unused: positions are relative in every model"
    )
    dim_pos_encoding: int | None = option(
        None, "accepted and unused: positions are relative in every model", kind=int
    )

    def __post_init__(self) -> None:
        for name in ("window_size", "forecast_size", "n_components"):
            check_integer(name, getattr(self, name), 1)
        for name in ("hidden_size", "num_layers", "nhead", "dim_feedforward", "dim_pos_encoding"):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), 1)
        check_integer("context_size", self.context_size, 0)
        check_number("dropout", self.dropout, 0.0, 0.9)
        check_number("style_noise", self.style_noise, 0.0)
        check_choice("head", self.head, HEADS)


@dataclass(frozen=True)
class HardwareConfig:
    """Devices, processes and precision of a training, as Lightning Fabric has them."""

    accelerator: str = option("auto", "auto (cuda, mps or cpu, the first there is), cuda, mps, cpu")
    devices: str = option("1", "number of devices, each with a process of its own; auto: all")
    num_nodes: int = option(1, "number of machines; each needs the same files")
    strategy: str = option(
        "auto",
        "how processes start: ddp starts the program anew, ddp_spawn and ddp_fork start processes "
        "from a library call, ddp_notebook from a notebook",
        choices=STRATEGIES,
    )
    precision: str = option("32-true", "32-true, bf16-mixed or 16-mixed")

    def __post_init__(self) -> None:
        check_choice("accelerator", self.accelerator, ("auto", "cpu", "cuda", "gpu", "mps"))
        is_number = self.devices.isdigit() and int(self.devices) > 0
        rule = "be auto or a number of devices"
        check(self.devices == "auto" or is_number, "devices", self.devices, rule)
        check_integer("num_nodes", self.num_nodes, 1)
        check_choice("strategy", self.strategy, STRATEGIES)
        check_choice("precision", self.precision, ("32-true", "bf16-mixed", "16-mixed"))


@dataclass(frozen=True)
class TrainConfig(HardwareConfig):
    """How a model is fitted."""

    learning_rate: float = option(2e-3, "highest step size of the schedule")
    batch_size: int = option(64, "windows per step")
    epochs: int | None = option(
        None,
        "passes over the recordings at the most (default: at least 10, and more where there is "
        "little music, until the model has seen enough)",
        kind=int,
    )
    max_time_s: float | None = option(
        None, "wall time of the fit at the most, validation included", unit="seconds", kind=float
    )
    save_interval: int = option(1, "validate and save every so many epochs", unit="epochs")
    early_stopping: bool = option(True, "stop when what is monitored no longer falls")
    patience: int = option(8, "times it was measured without improvement before stopping")
    monitor: str = option(
        "val_loss",
        "figure by which training stops early and the best model is chosen, lower is better; all "
        "but val_loss are measured every realism_every_epochs",
        choices=MONITORS,
    )
    realism_every_epochs: int = option(
        10,
        "tell every so many epochs, and at the end, how real continuations of the validation "
        "recordings are; 0: never",
        unit="epochs",
    )
    sample_every_epochs: int = option(
        10,
        "with sample_audio_db_dir: write an audio sample every so many epochs, and at the end",
        unit="epochs",
    )
    remove_outliers: bool = option(
        True, "leave windows of silence and of frozen or far-out frames out of training"
    )
    weight_decay: float = option(0.01, "AdamW's weight decay")
    rollout_every: int = option(
        4, "steps between two that also learn from free-running continuations; 0: never"
    )
    adversarial_weight: float = option(
        1.0,
        "of a critic of free-running continuations, which learns what gives them away; 0: none",
    )
    ema_decay: float = option(
        0.99,
        "share kept per step in the running average of the weights, which is the model; 0: none",
    )
    gradient_clip: float = option(1.0, "largest norm of a gradient step; 0: no limit")
    validation_share: float = option(
        0.1, "share of the files held out for validation where no folder is named", unit="0 to 1"
    )
    seed: int = option(0, "seed of the random generators")
    notes: str = option("", "free text kept with the run")
    process_on_the_fly: bool = option(
        True, "accepted and unused: windows are gathered views of one tensor"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("learning_rate", self.learning_rate, above=0.0)
        for name in ("batch_size", "save_interval", "patience", "sample_every_epochs"):
            check_integer(name, getattr(self, name), 1)
        if self.epochs is not None:
            check_integer("epochs", self.epochs, 1)
        check_choice("monitor", self.monitor, MONITORS)
        check_integer("realism_every_epochs", self.realism_every_epochs, 0)
        measured = self.monitor == "val_loss" or self.realism_every_epochs > 0
        rule = f"be at least 1 where monitor is {self.monitor}"
        check(measured, "realism_every_epochs", self.realism_every_epochs, rule)
        if self.max_time_s is not None:
            check_number("max_time_s", self.max_time_s, above=0.0)
        check_number("weight_decay", self.weight_decay, 0.0)
        check_number("gradient_clip", self.gradient_clip, 0.0)
        check_integer("rollout_every", self.rollout_every, 0)
        check_number("adversarial_weight", self.adversarial_weight, 0.0)
        check_number("ema_decay", self.ema_decay, 0.0, 0.9999)
        check_number("validation_share", self.validation_share, 0.0, 0.9)
        check(self.validation_share > 0, "validation_share", self.validation_share, "be above 0")
        check_integer("seed", self.seed, 0)

    @property
    def known_epochs(self) -> int:
        """The number of epochs, which a run settles where none was given."""
        check(self.epochs is not None, "epochs", self.epochs, "be known before training begins")
        return self.epochs or 0


@dataclass(frozen=True)
class RunConfig:
    """Where runs are kept and whether they are sent to a W&B server."""

    experiment_dir: str = option(
        "experiments", "folder of the runs, wandb's own files inside", aliases=("log_dir",)
    )
    project: str = option("descriptor_model", "W&B project, and the runs' folder")
    entity: str | None = option(None, "W&B entity (default: the key's own)", kind=str)
    offline: bool = option(False, "keep the run on this machine only")

    def __post_init__(self) -> None:
        for name in ("experiment_dir", "project"):
            check(bool(getattr(self, name)), name, getattr(self, name), "not be empty")
        plain = self.project not in (".", "..") and not set('/\\#?%:"') & set(self.project)
        check(plain, "project", self.project, 'be a name without any of / \\ # ? % : "')


@dataclass(frozen=True)
class SamplingConfig:
    """Settings of random sampling, the same for every draw."""

    temperature: float = option(
        1.0, "spread of the samples around their mean; 1: as learned", unit="0 to 10"
    )
    sampling: str = option(
        "plain",
        "plain: sample from the model; replay: reuse the innovations of the context; mean: the "
        "mean, without randomness",
        choices=SAMPLINGS,
    )
    replay_block: int = option(20, "mean length of a block of replayed innovations", unit="frames")
    seed: int = option(0, "random seed")

    def __post_init__(self) -> None:
        check_number("temperature", self.temperature, 0.0, 10.0)
        check_choice("sampling", self.sampling, SAMPLINGS)
        check_integer("replay_block", self.replay_block, 1)
        check_integer("seed", self.seed, 0)

    @property
    def is_mean(self) -> bool:
        """Whether sampling is deterministic: every draw is the mean."""
        return self.sampling == "mean" or self.temperature == 0

    def one_draw(self, draw: int = 1) -> Sampling:
        """Return the settings of one draw, counted from 1."""
        return Sampling(self.temperature, self.sampling, self.replay_block, self.seed, draw)


@dataclass(frozen=True)
class Sampling(SamplingConfig):
    """Settings of one random draw of a continuation.

    Attributes
    ----------
    temperature : float
        Factor on the distance of a sample from its mean, 0 to 10; 1 as learned, 0 the mean.
    sampling : str
        `plain` samples from the model, `replay` reuses the innovations of the context in blocks,
        `mean` takes the mean.
    replay_block : int
        Mean length of a block of replayed innovations, in frames.
    seed : int
        Random seed, at least 0. The content of a recording is part of its seed, too.
    draw : int
        Number of the draw, counted from 1; each is another continuation.

    Raises
    ------
    ConfigurationError
        If a value is out of range.
    """

    draw: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("draw", self.draw, 1)

    @property
    def draw_seed(self) -> int:
        """Seed of this draw; that of the first draw is `seed` itself."""
        if self.draw == 1:
            return self.seed
        key = hashlib.blake2b(f"{self.seed}:{self.draw}".encode(), digest_size=8).digest()
        return int.from_bytes(key, "big") >> 1


@dataclass(frozen=True)
class PredictConfig(SamplingConfig):
    """Settings of the continuations of a recording: how they are sampled, how long, how many."""

    prediction_length: int = option(430, "frames to predict", unit="frames of hop_length samples")
    duration_s: float | None = option(
        None, "length to predict, instead of prediction_length", unit="seconds", kind=float
    )
    n_draws: int = option(
        1,
        "continuations of each recording; several go to 1/, 2/ … below its folder",
        aliases=("n_samples",),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("prediction_length", self.prediction_length, 1)
        check_integer("n_draws", self.n_draws, 1)
        if self.duration_s is not None:
            check_number("duration_s", self.duration_s, above=0.0)

    def n_steps(self, frame_rate: float) -> int:
        """Return the number of frames to predict at `frame_rate` frames per second."""
        if self.duration_s is None:
            return self.prediction_length
        return max(1, math.ceil(self.duration_s * frame_rate - 1e-9))


@dataclass(frozen=True)
class QueryConfig:
    """Settings of the distance between descriptors and a database."""

    distance: str = option("euclidean", "distance between descriptors", choices=DISTANCES)
    minkowski_p: float = option(3.0, "exponent of the minkowski distance", unit="at least 1")
    neighbours: int = option(1, "nearest rows per frame listed in matches.json")
    descriptor_weights: str = option(
        "", "factors on the default weights, as mfcc0=2,delta=.5 (a column or a group)"
    )
    match_space: float = option(
        0.0,
        "how far to shift the prediction's mean and spread to the corpus's (moment matching)",
        unit="0 to 1",
    )
    allow_self_match: bool = option(
        False, "let rows of the recording itself be played if the corpus contains it"
    )

    def __post_init__(self) -> None:
        check_choice("distance", self.distance, DISTANCES)
        check_number("minkowski_p", self.minkowski_p, 1.0)
        check_integer("neighbours", self.neighbours, 1)
        check_number("match_space", self.match_space, 0.0, 1.0)


@dataclass(frozen=True)
class SelectionConfig:
    """Settings of unit selection: the rows of a database that play a sequence of frames."""

    selection: str = option(
        "beam",
        "beam: beam search for units with cheap transitions; sample: the same with random costs; "
        "nearest: the nearest row of each frame",
        choices=SELECTIONS,
    )
    units: str = option(
        "frame",
        "size of a unit. frame: single frames, joined if they are consecutive in a file; onset: "
        "sounds of the corpus from one onset to the next; grain: pieces of grain_ms",
        choices=UNITS,
    )
    grain_ms: float = option(250.0, "length of a grain, rounded to whole frames", unit="ms")
    continuity: float = option(
        0.5,
        "constant cost of a jump, in median distances of a frame to its nearest row; higher values "
        "give longer units",
    )
    pitch_continuity: float = option(
        1.5,
        "cost of an interval of an octave at a jump, in the same unit, proportionally less for "
        "smaller ones; needs f0 among the descriptors",
    )
    hold_s: float = option(
        0.5, "tabu window: time within which a source position is not played again", unit="seconds"
    )
    max_use: int | None = option(
        None,
        "how often a source position may be played in a result (default: any number)",
        kind=int,
    )
    beam_width: int = option(32, "paths followed in parallel")
    candidates: int = option(50, "nearest rows per frame that a path may jump to")
    unit_temperature: float = option(
        0.5, "mean of the random costs of the selection sample, in median distances; 0: none"
    )
    unit_gain_db: float = option(
        6.0, "largest gain, up or down, that brings a unit to the predicted level", unit="dB"
    )
    transpose_semitones: float = option(
        0.0,
        "largest transposition that brings a unit to the predicted f0, by playing it faster or "
        "slower; needs f0 among the descriptors",
        unit="semitones",
    )
    layers: int = option(
        1, "selections that are mixed, each matched to the residual of the earlier ones"
    )
    silence_gate_db: float | None = option(
        None,
        "mute frames predicted this far below the loudest frame of the corpus, as -60 (default: "
        "no frames)",
        unit="dB",
        kind=float,
    )

    def __post_init__(self) -> None:
        if self.selection == "path":  # the former name
            object.__setattr__(self, "selection", "beam")
        check_choice("selection", self.selection, SELECTIONS)
        check_choice("units", self.units, UNITS)
        check_number("grain_ms", self.grain_ms, 1.0, 60000.0)
        check_number("continuity", self.continuity, 0.0)
        check_number("pitch_continuity", self.pitch_continuity, 0.0)
        check_number("hold_s", self.hold_s, 0.0, MAX_HOLD_S)
        if self.max_use is not None:
            check_integer("max_use", self.max_use, 1)
        for name in ("beam_width", "candidates"):
            check_integer(name, getattr(self, name), 1)
        check_number("unit_temperature", self.unit_temperature, 0.0)
        check_number("unit_gain_db", self.unit_gain_db, 0.0, 60.0)
        check_number("transpose_semitones", self.transpose_semitones, 0.0, 48.0)
        check_integer("layers", self.layers, 1)
        if self.silence_gate_db is not None:
            check_number("silence_gate_db", self.silence_gate_db, -200.0, 0.0)

    def grain_frames(self, frame_rate: float) -> int:
        """Return the length of a grain in frames, at least one."""
        return max(1, round(self.grain_ms / 1000 * frame_rate))


@dataclass(frozen=True)
class RenderConfig:
    """How a playlist becomes sound."""

    crossfade_ms: float = option(
        10.0,
        "length of the fade at a jump, adapted to the two sounds' correlation",
        unit="ms",
        aliases=("crossfade",),
    )
    align_ms: float = option(
        5.0, "shift at the most by which a jump is made to fit; 0: none", unit="ms"
    )
    channels: str = option(
        "source",
        "source: the largest count among the files used; mono; stereo",
        choices=("source", "mono", "stereo"),
    )
    subtype: str = option("PCM_24", "sample format of the WAV", choices=SUBTYPES)
    output_sample_rate: int | None = option(
        None, "sample rate of the WAV (default: the descriptors')", unit="Hz", kind=int
    )
    with_recording_s: float = option(
        0.0, "seconds of the recording's end to put before the continuation", unit="seconds"
    )

    def __post_init__(self) -> None:
        check_number("crossfade_ms", self.crossfade_ms, 0.0, 10000.0)
        check_number("align_ms", self.align_ms, 0.0, 100.0)
        check_choice("channels", self.channels, ("source", "mono", "stereo"))
        check_choice("subtype", self.subtype, SUBTYPES)
        if self.output_sample_rate is not None:
            check_integer("output_sample_rate", self.output_sample_rate, 1000)
        check_number("with_recording_s", self.with_recording_s, 0.0)
