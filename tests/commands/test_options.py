"""Configuration fields as command line options."""

from __future__ import annotations

import contextlib
import dataclasses

import pytest

from desc.commands.options import add_options, from_options
from desc.commands.parser import Parser, UsageError
from desc.configuration import (
    ModelConfig,
    PredictConfig,
    QueryConfig,
    RenderConfig,
    RunConfig,
    SelectionConfig,
    TrainConfig,
    from_dict,
    to_dict,
)
from desc.descriptors.config import DescriptorConfig
from desc.errors import ConfigurationError
from tests.fuzzing import VALUES

CONFIGS = [
    ModelConfig,
    TrainConfig,
    RunConfig,
    PredictConfig,
    QueryConfig,
    SelectionConfig,
    RenderConfig,
    DescriptorConfig,
]


def parse(cls: type, *words: str) -> object:
    parser = Parser(prog="desc test")
    add_options(parser, cls)
    return from_options(cls, parser.parse_args(list(words)))


@pytest.mark.parametrize("cls", CONFIGS)
def test_without_options_every_default_holds(cls: type) -> None:
    assert parse(cls) == cls()


@pytest.mark.parametrize("cls", CONFIGS)
def test_every_field_is_an_option_with_help(cls: type) -> None:
    parser = Parser(prog="desc test")
    add_options(parser, cls)
    text = parser.format_help()
    for field in dataclasses.fields(cls):
        assert f"--{field.name} " in text or f"--{field.name}," in text
        assert field.metadata["help"]


@pytest.mark.parametrize("cls", CONFIGS)
def test_a_configuration_survives_its_dictionary(cls: type) -> None:
    assert from_dict(cls, to_dict(cls())) == cls()


def test_values_arrive_with_their_types() -> None:
    config = parse(
        TrainConfig, "--learning_rate", "1e-4", "--epochs", "7", "--max_time_s", "2.5",
        "--no-early_stopping", "--devices", "2",
    )  # fmt: skip
    expected = TrainConfig(
        learning_rate=1e-4, epochs=7, max_time_s=2.5, early_stopping=False, devices="2"
    )
    assert config == expected


def test_families_of_descriptors_are_a_list() -> None:
    config = parse(DescriptorConfig, "--descriptors", "mfcc", "rms", "--top_db", "none")
    assert config == DescriptorConfig(descriptors=("mfcc", "rms"), top_db=None)


@pytest.mark.parametrize(
    ("cls", "older", "name", "value"),
    [
        (RenderConfig, "--crossfade", "crossfade_ms", 25.0),
        (DescriptorConfig, "--sr", "sample_rate", 22050),
    ],
)
def test_older_names_are_understood_and_not_shown(
    cls: type, older: str, name: str, value: float
) -> None:
    assert getattr(parse(cls, older, str(value)), name) == value
    parser = Parser(prog="desc test")
    add_options(parser, cls)
    assert f"{older} " not in parser.format_help()


def test_a_mistyped_option_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"--bath_size.*did you mean --batch_size"):
        parse(TrainConfig, "--bath_size", "3")


def test_abbreviations_are_refused() -> None:
    with pytest.raises(UsageError, match="--batch"):
        parse(TrainConfig, "--batch", "3")


@pytest.mark.parametrize(
    ("cls", "words", "message"),
    [
        (ModelConfig, ("--window_size", "x"), "window_size='x' must be an integer"),
        (
            ModelConfig,
            ("--window_size", "0"),
            "window_size=0 must be an integer of at least 1 and at most 65536",
        ),
        (ModelConfig, ("--n_components", "1000000"), "n_components=1000000 must be an integer of"),
        (ModelConfig, ("--hidden_size", "1000000"), "hidden_size=1000000 must be an integer of"),
        (ModelConfig, ("--head", "cauchy"), "head='cauchy' must be one of mixture, gaussian"),
        (TrainConfig, ("--learning_rate", "nan"), "learning_rate=nan must be a number above 0"),
        (TrainConfig, ("--devices", "two"), "devices='two' must be auto or a number"),
        (RenderConfig, ("--crossfade_ms", "-1"), "crossfade_ms=-1.0 must be"),
        (RunConfig, ("--project", "a/b"), "project='a/b' must be a name without"),
        (DescriptorConfig, ("--descriptors", "mfc"), "descriptors='mfc' must be one of mfcc"),
        (DescriptorConfig, ("--descriptors", "rms", "rms"), "name each family once"),
        (QueryConfig, ("--minkowski_p", "0.5"), "minkowski_p=0.5 must be"),
    ],
)
def test_a_wrong_value_is_named_with_its_rule(
    cls: type, words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse(cls, *words)
    assert message in str(raised.value)
    assert raised.value.exit_status == 2


def test_unknown_keys_of_a_dictionary_are_named() -> None:
    with pytest.raises(ConfigurationError, match="no setting colour; it has"):
        from_dict(RenderConfig, {"colour": 1})


@pytest.mark.parametrize("cls", CONFIGS)
def test_any_wrong_value_of_a_dictionary_is_a_usage_error(cls: type) -> None:
    whole = to_dict(cls())
    for name in whole:
        for value in (*VALUES, ["mfcc", 1], [["mfcc"]], -(10**400), 1e-320):
            with contextlib.suppress(ConfigurationError):
                from_dict(cls, whole | {name: value})
    with pytest.raises(ConfigurationError, match="must be a set of settings"):
        from_dict(cls, [1])  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="no setting 3"):
        from_dict(cls, {3: 4})  # type: ignore[dict-item]


def test_the_length_can_be_given_in_seconds() -> None:
    assert PredictConfig(duration_s=10.0).n_steps(44100 / 1024) == 431
    assert PredictConfig(prediction_length=7).n_steps(43.0) == 7
    assert PredictConfig(duration_s=0.001).n_steps(43.0) == 1


@pytest.mark.parametrize(
    ("cls", "words"),
    [
        (ModelConfig, ("--no-add_positional_embedding", "--dim_pos_encoding", "50")),
        (TrainConfig, ("--process_on_the_fly",)),
    ],
)
def test_former_options_are_accepted_without_effect(cls: type, words: tuple[str, ...]) -> None:
    assert parse(cls, *words) == cls()
    parser = Parser(prog="desc test")
    add_options(parser, cls)
    assert words[0] not in parser.format_help()
    former = dict.fromkeys(cls.FORMER, 1)  # type: ignore[attr-defined]
    assert from_dict(cls, to_dict(cls()) | former) == cls()
