"""A local page with a map of a whole database: look, listen, choose files.

`atlas` brings the frames to two dimensions, `server` hands them to the page, which is in
`templates/`.
"""

from desc.explore.atlas import Atlas
from desc.explore.server import ExploreServer

__all__ = ["Atlas", "ExploreServer"]
