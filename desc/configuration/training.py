"""Settings of sequence models, their training and their runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from desc.configuration.fields import check, check_choice, check_integer, check_number, option

HEADS = ("mixture", "gaussian", "student_t", "mse")
MONITORS = ("val_loss", "val_fd", "val_acf", "val_modspec_db", "val_crps_43", "val_track_distance")
STRATEGIES = ("auto", "ddp", "ddp_spawn", "ddp_fork", "ddp_notebook")


@dataclass(frozen=True)
class ModelConfig:
    """Settings of a sequence model; a size of `None` is the model's own (see `desc.models`).

    Ranges: window_size, forecast_size and context_size up to 65536 frames, hidden_size 8192,
    dim_feedforward 32768, num_layers and nhead 64, n_components and plan_size 256. They bound the
    memory.
    """

    FORMER: ClassVar[tuple[str, ...]] = ("add_positional_embedding", "dim_pos_encoding")

    selected_model: str = option(
        "LSTM",
        "LSTM, LSTMEncoderDecoderModel, TransformerEncoderOnlyModel or TransformerModel",
        metavar="MODEL",
    )
    window_size: int = option(48, "length of the input sequence", unit="frames")
    forecast_size: int = option(
        32, "number of frames that the encoder-decoder models predict at once", unit="frames"
    )
    plan_size: int = option(
        0,
        "numbers that describe forecast_size frames, drawn by the encoder-decoder models before "
        "the first of them, such as 8; 0: no plans",
    )
    hidden_size: int | None = option(
        None, "width of the network (default: depends on the model)", kind=int
    )
    num_layers: int | None = option(
        None, "number of layers (default: depends on the model)", kind=int
    )
    nhead: int | None = option(
        None, "number of attention heads (default: depends on the model)", kind=int
    )
    dim_feedforward: int | None = option(
        None,
        "width of the transformers' feed-forward layers (default: depends on the model)",
        kind=int,
    )
    dropout: float = option(0.3, "dropout probability", unit="0 to 0.9")
    style_noise: float = option(
        0.3, "standard deviation of the noise added to the context embedding in training"
    )
    head: str = option(
        "mixture", "output distribution; mse: a deterministic baseline", choices=HEADS
    )
    n_components: int = option(8, "number of components of the mixture head")
    context_size: int = option(
        320,
        "length of the context before the window; its statistics condition the model",
        unit="frames",
    )

    def __post_init__(self) -> None:
        for name in ("window_size", "forecast_size"):
            check_integer(name, getattr(self, name), 1, 65536)
        sizes = {"hidden_size": 8192, "num_layers": 64, "nhead": 64, "dim_feedforward": 32768}
        for name, largest in sizes.items():
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), 1, largest)
        check_integer("n_components", self.n_components, 1, 256)
        check_integer("context_size", self.context_size, 0, 65536)
        check_integer("plan_size", self.plan_size, 0, 256)
        check_number("dropout", self.dropout, 0.0, 0.9)
        check_number("style_noise", self.style_noise, 0.0)
        check_choice("head", self.head, HEADS)
        rule = "be 0 with head=mse: plans are drawn from a distribution"
        check(self.head != "mse" or not self.plan_size, "plan_size", self.plan_size, rule)


@dataclass(frozen=True)
class HardwareConfig:
    """Devices, processes and precision of a training, as Lightning Fabric has them."""

    accelerator: str = option(
        "auto", "cuda, mps or cpu; auto: the first of these that is available", metavar="DEVICE"
    )
    devices: str = option("1", "number of devices, one process each; auto: all", metavar="N")
    num_nodes: int = option(1, "number of machines; all need the same files")
    strategy: str = option(
        "auto",
        "how processes are launched: ddp runs the program once per process; "
        "ddp_spawn and ddp_fork also work for library calls, ddp_notebook in "
        "notebooks",
        choices=STRATEGIES,
    )
    precision: str = option("32-true", "32-true, bf16-mixed or 16-mixed", metavar="PRECISION")

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
    """Settings of the training of a sequence model."""

    FORMER: ClassVar[tuple[str, ...]] = ("process_on_the_fly",)

    learning_rate: float = option(2e-3, "peak learning rate of the schedule")
    batch_size: int | None = option(
        None, "windows per step (default: depends on the model)", kind=int
    )
    epochs: int | None = option(
        None,
        "maximum number of epochs (default: at least 10, more for small corpora)",
        kind=int,
    )
    max_time_s: float | None = option(
        None, "time limit of training, including validation", unit="seconds", kind=float
    )
    save_interval: int = option(
        1, "interval between validations, each followed by a checkpoint", unit="epochs"
    )
    early_stopping: bool = option(True, "stop once the monitored metric no longer improves")
    patience: int = option(8, "number of measurements without improvement before stopping")
    monitor: str = option(
        "val_loss",
        "metric for early stopping and the best checkpoint, lower is better; all "
        "except val_loss are measured every realism_every_epochs",
        choices=MONITORS,
    )
    realism_every_epochs: int = option(
        10,
        "interval between measurements of realism: free-running continuations of "
        "the validation recordings are compared with real ones, also at the end; "
        "0: never",
        unit="epochs",
    )
    sample_every_epochs: int = option(
        10,
        "interval between audio samples, also written at the end; needs sample_audio_db_dir",
        unit="epochs",
    )
    remove_outliers: bool = option(
        True, "exclude windows with silence, frozen frames or outliers from training"
    )
    weight_decay: float = option(0.01, "weight decay of AdamW")
    rollout_every: int = option(
        4, "interval, in steps, between losses on free-running continuations; 0: never"
    )
    adversarial_weight: float = option(
        1.0,
        "weight of the adversarial critic of free-running continuations; 0: no critic",
    )
    ema_decay: float = option(
        0.99,
        "decay per step of the running average (EMA) of the weights, which is "
        "validated and saved; 0: no average",
    )
    gradient_clip: float = option(1.0, "maximum gradient norm; 0: no limit")
    validation_share: float = option(
        0.1,
        "share of files held out for validation if no validation folder is given",
        unit="0 to 1",
    )
    seed: int = option(0, "random seed")
    from_run: str | None = option(
        None,
        "start a new run from the best weights of another one, with its model settings and "
        "descriptors, on the same or other recordings",
        metavar="ID",
        kind=str,
    )
    notes: str = option("", "free text kept with the run", metavar="TEXT")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("learning_rate", self.learning_rate, above=0.0)
        for name in ("save_interval", "patience", "sample_every_epochs"):
            check_integer(name, getattr(self, name), 1)
        for name in ("batch_size", "epochs"):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), 1)
        check_choice("monitor", self.monitor, MONITORS)
        check_integer("realism_every_epochs", self.realism_every_epochs, 0)
        measured = self.monitor == "val_loss" or self.realism_every_epochs > 0
        rule = f"be at least 1 for monitor={self.monitor}"
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
        """Number of epochs; a run sets it if none was given."""
        check(self.epochs is not None, "epochs", self.epochs, "be known before training begins")
        return self.epochs or 0


@dataclass(frozen=True)
class RunConfig:
    """Settings of where runs are kept, and whether they are sent to a W&B server."""

    experiment_dir: str = option(
        "experiments", "folder of all runs", metavar="DIR", aliases=("log_dir",)
    )
    project: str = option(
        "descriptor_model", "W&B project, and name of its folder in experiment_dir"
    )
    entity: str | None = option(None, "W&B entity (default: that of the API key)", kind=str)
    offline: bool = option(False, "keep runs on this machine; do not contact W&B")
    name: str = option("", "name of a new run, which stands for its id; W&B shows it")

    def __post_init__(self) -> None:
        for name in ("experiment_dir", "project"):
            check(bool(getattr(self, name)), name, getattr(self, name), "not be empty")
        plain = self.project not in (".", "..") and not set('/\\#?%:"') & set(self.project)
        check(plain, "project", self.project, 'be a name without any of / \\ # ? % : "')
