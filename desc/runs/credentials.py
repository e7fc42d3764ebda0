"""W&B credentials: offline settings and API keys, read without importing wandb."""

from __future__ import annotations

import configparser
import netrc
import os
from urllib.parse import urlsplit

from desc.configuration import RunConfig

# The server's address depends on the version of wandb; a key for either counts.
_DEFAULT_HOSTS = ("api.wandb.ai", "api.forge.coreweave.com")


def offline_reason(run: RunConfig) -> str | None:
    """Return why the W&B server must not be contacted, or None if it may be."""
    if run.offline:
        return "offline"
    settings = _settings()
    mode = os.environ.get("WANDB_MODE") or settings.get("mode", "")
    if mode in ("offline", "dryrun", "disabled"):
        return f"W&B is set to {mode}"
    if not _has_key(settings):
        return "no W&B API key; `wandb login` stores one"
    return None


def _settings() -> dict[str, str]:
    """Return the settings of `wandb login` and `wandb offline`; the current folder's win."""
    directory = os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb"
    found: dict[str, str] = {}
    for folder in (os.path.expanduser(directory), "wandb"):
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(os.path.join(folder, "settings"), "utf-8")
            found |= dict(parser["default"]) if parser.has_section("default") else {}
        except (configparser.Error, OSError, ValueError):
            continue  # wandb also treats an unreadable settings file as empty
    return found


def _has_key(settings: dict[str, str]) -> bool:
    """Return whether the environment, the settings or the netrc file hold a key."""
    environment = os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE")
    if environment or settings.get("api_key"):
        return True
    url = os.environ.get("WANDB_BASE_URL") or settings.get("base_url", "")
    named = os.environ.get("NETRC")
    for path in (named,) if named else ("~/.netrc", "~/_netrc"):
        try:
            hosts = (urlsplit(url).netloc,) if url else _DEFAULT_HOSTS
            entries = netrc.netrc(os.path.expanduser(path))
        except (OSError, netrc.NetrcParseError, ValueError):
            continue
        return any((entries.authenticators(host) or ("", "", ""))[2] for host in hosts)
    return False
