"""The parser of the command line: help in two levels, and errors with suggestions."""

from __future__ import annotations

import argparse
import copy
import difflib
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NoReturn

from desc.errors import ConfigurationError


class Parser(argparse.ArgumentParser):
    """Argument parser without abbreviations, with suggestions for mistyped words.

    Attributes
    ----------
    most_used : sequence of str
        Names of the options in `format_short_help`, the text of `--help`; if empty, all are.
    examples : sequence of str
        Commands shown below the options.
    """

    most_used: Sequence[str] = ()
    examples: Sequence[str] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", HelpFormatter)
        kwargs |= {"allow_abbrev": False, "add_help": False}
        super().__init__(*args, **kwargs)
        self.add_argument("-h", "--help", action=Help, help="show help")
        self.add_argument("--help-all", action=Help, help=argparse.SUPPRESS)

    def summarise(self, most_used: str, examples: Sequence[str]) -> None:
        """Set the options of the short help, separated by spaces, and the examples."""
        self.most_used, self.examples = most_used.split(), examples

    @property
    def options(self) -> dict[str, argparse.Action]:
        """Options by name; several names may lead to one."""
        return self._option_string_actions

    def format_help(self) -> str:
        """Return the help of all options."""
        return super().format_help() + self._example_text()

    def format_short_help(self) -> str:
        """Return the help of the options used most."""
        if not self.most_used:
            return self.format_help()
        by_name = {action.dest: action for action in self._actions}
        formatter = self._get_formatter()
        shown = [str(action.metavar) for action in self._get_positional_actions()]
        formatter.add_text(f"usage: {' '.join([self.prog, *shown])} [options]")
        formatter.add_text(self.description)
        formatter.start_section("options used most")
        formatter.add_arguments([by_name[name] for name in self.most_used])
        formatter.end_section()
        formatter.add_text(f"{self.prog} --help-all shows all options.")
        return formatter.format_help() + self._example_text()

    def _example_text(self) -> str:
        lines = "".join(f"  {line}\n" for line in self.examples)
        return f"\nexamples:\n{lines}" if lines else ""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; an unknown option is named before a missing one, with the nearest known one."""
        if args is not None:
            self._refuse_unknown_options(args)
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error(f"unknown argument {' '.join(unknown)}")
        return parsed

    @property
    def positionals(self) -> list[str]:
        """Names of the arguments that are no options."""
        return [action.dest for action in self._get_positional_actions()]

    def groups(self) -> Iterator[tuple[str, list[argparse.Action]]]:
        """Yield the title and the options of each group."""
        for group in self._action_groups:
            yield str(group.title), group._group_actions  # noqa: SLF001 (argparse has no name for it)

    @property
    def commands(self) -> dict[str, Parser]:
        """Parsers of the sub-commands by name."""
        found = (a for a in self._actions if isinstance(a, argparse._SubParsersAction))
        return {name: parser for action in found for name, parser in action.choices.items()}

    def of(self, words: Sequence[str]) -> Parser:
        """Return the parser of the sub-command in a command line, or this one."""
        commands = self.commands
        for index, word in enumerate(words):
            if word in commands:
                return commands[word].of(words[index + 1 :])
        return self

    def _refuse_unknown_options(self, words: Sequence[str]) -> None:
        parser = self.of(words)
        if parser.commands and any(not word.startswith("-") for word in words):
            return  # a mistyped command is named first
        known = self.options | parser.options
        for word in words:
            name = word.split("=")[0]
            if name == "--":
                return
            if name.startswith("--") and " " not in name and name not in known:
                spelt = name.replace("-", "_").replace("__", "--", 1)
                hint = suggestion(spelt, [option for option in known if len(option) > 2], 0.75)
                parser.error(f"unknown option {name}{hint}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse an unknown value; suggest the nearest known one."""
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        rest = f"{suggestion(str(value), known)} (choose from {', '.join(known)})"
        if isinstance(action, argparse._SubParsersAction):
            raise argparse.ArgumentError(None, f"{value!r} is not a {action.dest}{rest}")
        raise argparse.ArgumentError(action, f"invalid choice: {value!r}{rest}")

    def error(self, message: str) -> NoReturn:
        """Raise a `UsageError` that shows options by their current names."""
        raise UsageError(re.sub(r"(--\w+)(/--\w+)+", r"\1", message), self.prog)


def suggestion(word: str, known: Collection[str], cutoff: float = 0.6) -> str:
    """Return `; did you mean …?` with the nearest known word, or nothing."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=cutoff)
    return f"; did you mean {near[0]}?" if near else ""


class UsageError(ConfigurationError):
    """Wrong usage of the command line.

    Attributes
    ----------
    program : str
        The command, whose `--help` the message refers to.
    """

    def __init__(self, message: str, program: str) -> None:
        super().__init__(message)
        self.program = program


class Help(argparse.Action):
    """An option that prints the short help, or under the name `--help-all` the whole."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        del dest  # it holds no value
        suppress = argparse.SUPPRESS
        super().__init__(option_strings, suppress, nargs=0, default=suppress, help=help)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,  # noqa: ARG002
        values: Any,  # noqa: ARG002
        option_string: str | None = None,
    ) -> None:
        """Print, and exit."""
        assert isinstance(parser, Parser)
        whole = option_string == "--help-all"
        print(parser.format_help() if whole else parser.format_short_help(), end="")
        parser.exit()


class HelpFormatter(argparse.HelpFormatter):
    """Help with a column wide enough for the longest option, older names hidden."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34, width=100)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """Show the first name only; the others are older names."""
        shown = action
        if action.nargs != 0:
            shown = copy.copy(action)
            shown.option_strings = action.option_strings[:1]
        return super()._format_action_invocation(shown)
