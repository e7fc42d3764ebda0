"""mkdocstrings extension: fields of settings, documented by the help of their options."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

import griffe

from desc.commands.options import option_help


class SettingsFields(griffe.Extension):
    """Adds a section `Attributes` to classes whose fields are options."""

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Add each field's help, unit and default to the docstring, as in `--help`."""
        if cls.docstring is None or "dataclass" not in cls.labels:
            return
        settings = getattr(importlib.import_module(cls.module.path), cls.name)
        fields = [field for field in dataclasses.fields(settings) if "help" in field.metadata]
        lines = [line for f in fields for line in (f"{f.name} : {f.type}", f"    {option_help(f)}")]
        if lines:
            cls.docstring.value += "\n\n" + "\n".join(["Attributes", "----------", *lines])
