"""`python -m desc`."""

from desc.commands.main import run

if __name__ == "__main__":  # other processes may import it
    run()
