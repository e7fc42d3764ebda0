"""Local web pages: a studio for composing, a map of a database, and a stream that plays.

`server` is the web server of all. `atlas` projects the frames of a database to two dimensions,
`map_room` serves them, `moments` writes what is selected there; `live_room` shows on them what a
stream plays, `live_process` starts one from the studio. `room` answers the requests of the
studio's page: `folders` finds sounds, `training` starts and watches trainings, `jobs` hands work to
the process `worker`, `controls` describes the settings, `take_view` shows takes. The pages are in
`templates/`.
"""

from desc.studio.atlas import Atlas
from desc.studio.live_room import LiveRoom
from desc.studio.map_room import MapRoom
from desc.studio.room import StudioRoom
from desc.studio.server import LocalServer

__all__ = ["Atlas", "LiveRoom", "LocalServer", "MapRoom", "StudioRoom"]
