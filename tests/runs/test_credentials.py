"""Keys and offline settings are found where wandb finds them."""

from __future__ import annotations

from pathlib import Path

import pytest

from desc.configuration import RunConfig
from desc.runs.credentials import offline_reason
from tests.fuzzing import fuzz

KEY = "k" * 40


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_without_a_key_nothing_is_asked() -> None:
    assert "no W&B API key" in str(offline_reason(RunConfig()))


def test_offline_is_respected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert offline_reason(RunConfig()) is None
    assert offline_reason(RunConfig(offline=True)) == "offline"
    for mode in ("offline", "dryrun", "disabled"):
        monkeypatch.setenv("WANDB_MODE", mode)
        assert mode in str(offline_reason(RunConfig()))
    monkeypatch.setenv("WANDB_MODE", "")
    assert offline_reason(RunConfig()) is None
    write(tmp_path / "wandb" / "settings", "[default]\nmode = offline\n")
    assert "offline" in str(offline_reason(RunConfig()))


@pytest.mark.parametrize(
    "machine", ["api.wandb.ai", "api.forge.coreweave.com", "wandb.example.org:8080"]
)
def test_a_key_in_netrc_counts_for_its_server(
    machine: str, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    write(home / "netrc", f"machine {machine}\n  login user\n  password {KEY}\n")
    own = machine.startswith("wandb.")
    assert (offline_reason(RunConfig()) is None) is not own
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org:8080")
    assert (offline_reason(RunConfig()) is None) is own


def test_keys_in_settings_files_and_tokens_count(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path
) -> None:
    settings = home / ".config" / "wandb" / "settings"
    write(settings, f"[default]\napi_key = {KEY}\n")
    assert offline_reason(RunConfig()) is None
    write(settings, "no section\n")
    assert offline_reason(RunConfig()) is not None
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "other"))
    write(tmp_path / "other" / "settings", f"[default]\napi_key = {KEY}\n")
    assert offline_reason(RunConfig()) is None
    monkeypatch.delenv("WANDB_CONFIG_DIR")
    monkeypatch.setenv("WANDB_IDENTITY_TOKEN_FILE", "token.jwt")
    assert offline_reason(RunConfig()) is None


def test_a_damaged_netrc_is_no_key(home: Path) -> None:
    write(home / "netrc", "machine\nmachine machine password\n")
    assert offline_reason(RunConfig()) is not None


def test_damaged_settings_are_never_an_error(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, netrc = tmp_path / "wandb" / "settings", home / "netrc"
    write(settings, "; settings\n[default]\nmode = online\nbase_url = https://example.org:8\n")
    write(netrc, f"machine example.org:8\n  login user\n  password {KEY}\n")
    assert offline_reason(RunConfig()) is None
    for path in (settings, netrc):
        fuzz(path, lambda _: offline_reason(RunConfig()), 100)
    for name, value in (("WANDB_BASE_URL", "http://[::1"), ("WANDB_CONFIG_DIR", "~nobody/x")):
        monkeypatch.setenv(name, value)
        assert "no W&B API key" in str(offline_reason(RunConfig()))
