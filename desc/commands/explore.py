"""`desc explore`: a map of a folder in the browser, to browse, listen and select files."""

from __future__ import annotations

import argparse

from desc.commands.console import Console
from desc.commands.folders import open_folder
from desc.commands.options import (
    add_audio_option,
    add_corpus_options,
    add_options,
    add_switch,
    from_options,
)
from desc.configuration import check_integer
from desc.descriptors.config import DescriptorConfig

MOST_USED = "audio_db_dir include exclude open_browser port max_points descriptors cache_dir"
EXAMPLES = (
    "desc explore --audio_db_dir sounds/ --open_browser",
    "desc explore --audio_db_dir sounds/ --include 'strings/*'",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc explore`."""
    main = parser.add_argument_group("input and page")
    add_audio_option(main, "folder of sounds; --include and --exclude apply to it")
    main.add_argument(
        "--port",
        type=int,
        default=0,
        metavar="N",
        help="port on 127.0.0.1 [default: any free port]",
    )
    main.add_argument(
        "--max_points",
        type=int,
        default=300_000,
        metavar="N",
        help="maximum number of points; larger folders are thinned out evenly [default 300000]",
    )
    add_switch(main, "--open_browser", "open the page in the browser")
    add_corpus_options(main)
    add_options(parser.add_argument_group("descriptors"), DescriptorConfig)


def run(args: argparse.Namespace) -> int:
    """Print the address of the page, and serve it until Ctrl-C."""
    config = from_options(DescriptorConfig, args)
    check_integer("port", args.port, 0)
    check_integer("max_points", args.max_points, 1)
    with Console(args.quiet) as console:
        from desc.database import DescriptorDatabase
        from desc.storage import DescriptorStore
        from desc.studio import Atlas, LocalServer, MapRoom

        store = DescriptorStore(args.cache_dir)
        corpus = open_folder(args.audio_db_dir, config, store, args).with_sound()
        atlas = Atlas.of(DescriptorDatabase.from_corpus(corpus, store), args.max_points)
        with LocalServer(MapRoom(atlas), args.port) as server:
            console.result(server.url)
            console.note("open this address in a browser on this machine; press Ctrl-C to stop")
            if args.open_browser:
                import webbrowser

                webbrowser.open(server.url)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                console.note("stopped")
    return 0
