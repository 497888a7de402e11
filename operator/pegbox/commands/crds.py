"""`pegbox render-crds`: the CustomResourceDefinitions of this version."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from pegbox.api import schema
from pegbox.commands.output import Exit
from pegbox.model.errors import InvalidInput


def main(arguments: Namespace) -> int:
    """To stdout as one stream of documents, or one file each. Raises InvalidInput."""
    rendered = schema.render()
    if arguments.out == "-":
        sys.stdout.write("".join(f"---\n{text}" for _, text in sorted(rendered.items())))
        return Exit.OK
    directory = Path(arguments.out)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in sorted(rendered.items()):
            (directory / name).write_text(text, encoding="utf-8")
            print(directory / name)
    except OSError as error:
        raise InvalidInput("--out", arguments.out, f"name a directory that can be written: {error.strerror}") from error
    return Exit.OK
