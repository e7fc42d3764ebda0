"""A local web page with a map of a database, to browse, listen and select files.

`atlas` projects the frames to two dimensions; `server` serves them to the page in `templates/`.
"""

from desc.explore.atlas import Atlas
from desc.explore.server import ExploreServer

__all__ = ["Atlas", "ExploreServer"]
