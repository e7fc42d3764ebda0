"""A program that ends with the studio: as on SIGTERM, when its standard input is closed.

`python -m desc.studio.companion MODULE WORD ...` is `python -m MODULE WORD ...`.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def _end_with_studio() -> None:
    while os.read(0, 1):
        pass
    signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_studio, daemon=True).start()
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
