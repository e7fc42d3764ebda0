"""Takes: the numbered results of one recording, side by side.

`numbered` finds, numbers and marks them, `index_page` writes the page that compares them, and
removes them.
"""

from desc.takes.index_page import INDEX, remove, write_index
from desc.takes.numbered import Take, differing_settings, list_takes, mark, release, take_folder

__all__ = [
    "INDEX",
    "Take",
    "differing_settings",
    "list_takes",
    "mark",
    "release",
    "remove",
    "take_folder",
    "write_index",
]
