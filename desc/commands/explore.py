"""`desc explore`: a local page with a map of a large folder, to look, listen and choose files."""

from __future__ import annotations

import argparse

from desc.commands.console import Console
from desc.commands.folders import open_folder
from desc.commands.options import add_corpus_options, add_options, from_options
from desc.configuration import check_integer
from desc.descriptors.config import DescriptorConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc explore`."""
    main = parser.add_argument_group("what")
    main.add_argument(
        "--audio_db_dir", "--audio_dir", required=True, metavar="DIR",
        help="folder of sounds; the patterns below are for it",
    )  # fmt: skip
    main.add_argument(
        "--port", type=int, default=0, metavar="N", help="port on 127.0.0.1 [default: any free one]"
    )
    main.add_argument(
        "--max_points", type=int, default=300_000, metavar="N",
        help="frames shown at the most; of more, evenly spaced ones [default 300000]",
    )  # fmt: skip
    main.add_argument(
        "--open_browser", action=argparse.BooleanOptionalAction, default=False,
        help="open the page in the browser [default off]",
    )  # fmt: skip
    add_corpus_options(main)
    add_options(parser.add_argument_group("descriptors"), DescriptorConfig)


def run(args: argparse.Namespace) -> int:
    """Print the page's address, and serve it until Ctrl-C."""
    config = from_options(DescriptorConfig, args)
    check_integer("port", args.port, 0)
    check_integer("max_points", args.max_points, 1)
    with Console(args.quiet) as console:
        from desc.database import DescriptorDatabase
        from desc.explore import Atlas, ExploreServer
        from desc.storage import DescriptorStore

        store = DescriptorStore(args.cache_dir)
        corpus = open_folder(args.audio_db_dir, config, store, args).with_sound()
        atlas = Atlas.of(DescriptorDatabase.from_corpus(corpus, store), args.max_points)
        with ExploreServer(atlas, args.port) as server:
            console.result(server.url)
            console.note("open this address in a browser on this machine; Ctrl-C ends it")
            if args.open_browser:
                import webbrowser

                webbrowser.open(server.url)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                console.note("ended")
    return 0
