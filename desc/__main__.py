"""`python -m desc`."""

from desc.commands.main import run

run()
