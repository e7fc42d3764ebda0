"""`MapRoom`: the page with the map of a database, and the requests of every page with a map."""

from __future__ import annotations

from typing import Any

from desc.errors import ConfigurationError
from desc.report.page import fill, template
from desc.studio.atlas import Atlas
from desc.studio.server import BINARY, HTML, WAV, Answer, Request

PACKAGE = "desc.studio"
MAP_SCRIPTS = "common requests cloud sky"
"""Scripts of a page with a map, before its own."""
OF_REPORTS = "common", "timeline", "chart"


def local_page(name: str, *, title: str, scripts: str, data: dict[str, Any]) -> bytes:
    """Return a page whose scripts may ask its server.

    Parameters
    ----------
    name : str
        Its template, without the ending; `{{common}}` and `{{sky}}` are the style of all pages and
        the map.
    title : str
        Any text.
    scripts : str
        Names of its scripts, in this order: `common`, `timeline` and `chart` are those of reports.
    data : dict
        JSON values.
    """
    page = template(f"{name}.html", PACKAGE)
    for part in ("common.css", "sky.html"):
        mark = "{{" + part.partition(".")[0] + "}}\n"
        page = page.replace(mark, template(part, PACKAGE))
    found = [
        template(f"{one}.js", "desc.report" if one in OF_REPORTS else PACKAGE)
        for one in scripts.split()
    ]
    policy = "; connect-src 'self'"
    return fill(page, title=title, scripts=found, data=data, policy=policy).encode()


def map_answer(atlas: Atlas, request: Request) -> Answer | None:
    """Answer a request of a map: its points, a column or a sound; None: it is another one.

    Raises
    ------
    DescError
        If the query is wrong, or a file cannot be read.
    """
    if request.method != "GET":
        return None
    if request.path == "points":
        return Answer(atlas.points(), BINARY)
    if request.path == "column":
        return Answer(atlas.column(request.query.get("name", "")), BINARY)
    if request.path == "grain":
        try:
            numbers = [int(request.query[key]) for key in ("file", "centre", "ms")]
        except (KeyError, ValueError) as error:
            raise ConfigurationError(f"grain needs file, centre and ms: {error}") from error
        return Answer(atlas.grain(*numbers), WAV)
    return None


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
        self.page = local_page(
            "map",
            title=f"{atlas.database.root.name} – desc",
            scripts=f"{MAP_SCRIPTS} map",
            data=atlas.about() | {"inStudio": in_studio},
        )

    def answer(self, request: Request) -> Answer | None:
        """Return the page, or what it asks for.

        Raises
        ------
        DescError
            If the query is wrong, or a file cannot be read.
        """
        if request.method == "GET" and request.path == "":
            return Answer(self.page, HTML)
        return map_answer(self.atlas, request)
