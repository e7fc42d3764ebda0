"""`MapRoom`: the page with the map of a database."""

from __future__ import annotations

from desc.errors import ConfigurationError
from desc.report.page import fill, template
from desc.studio.atlas import Atlas
from desc.studio.server import BINARY, HTML, WAV, Answer, Request

SCRIPTS = (("common.js", "desc.report"), ("cloud.js", "desc.studio"), ("map.js", "desc.studio"))


class MapRoom:
    """The map of an atlas; it reads only files that the database names.

    Parameters
    ----------
    atlas : Atlas
        The map.
    in_studio : bool
        Whether the page is a room of the studio, to which its selection goes.
    """

    def __init__(self, atlas: Atlas, *, in_studio: bool = False) -> None:
        self.atlas = atlas
        self.page = fill(
            template("map.html", "desc.studio"),
            title=f"{atlas.database.root.name} – desc",
            scripts=[template(name, package) for name, package in SCRIPTS],
            data=atlas.about() | {"inStudio": in_studio},
            policy="; connect-src 'self'",
        ).encode()

    def answer(self, request: Request) -> Answer | None:
        """Return the page, the points, a column or a sound.

        Raises
        ------
        DescError
            If the query is wrong, or a file cannot be read.
        """
        if request.method != "GET":
            return None
        if request.path == "":
            return Answer(self.page, HTML)
        if request.path == "points":
            return Answer(self.atlas.points(), BINARY)
        if request.path == "column":
            return Answer(self.atlas.column(request.query.get("name", "")), BINARY)
        if request.path == "grain":
            try:
                numbers = [int(request.query[key]) for key in ("file", "centre", "ms")]
            except (KeyError, ValueError) as error:
                raise ConfigurationError(f"grain needs file, centre and ms: {error}") from error
            return Answer(self.atlas.grain(*numbers), WAV)
        return None
