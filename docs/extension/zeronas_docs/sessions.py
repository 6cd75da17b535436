"""Commands of a page that are run while the site is built, each followed by what it printed.

``session`` runs its lines in a folder of the page's own. ``artefact`` copies a file that they made into the site, with
what a page links beside it, and links it or, where it is a picture, shows it. So no output on the site is older than
the code, and a command that fails stops the build.
"""

from __future__ import annotations

import contextlib
import glob
import io
import logging
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

__all__ = ["commands", "run", "setup"]


#: endings of what is copied into the site
_SHOWN = (".csv", ".html", ".json", ".md", ".png")


def commands(lines: Sequence[str]) -> list[str]:
    """Returns the commands of a block; a line that ends in a backslash goes on in the next, comments are none."""
    found, begun = [], ""
    for line in lines:
        begun += line.strip()
        if begun.endswith("\\"):
            begun = begun[:-1].rstrip() + " "
        elif begun:
            found += [] if begun.startswith("#") else [begun]
            begun = ""
    return found


def run(command: str) -> tuple[int, str, str]:
    """Runs a ``zeronas`` command in this process and in the working folder: exit status, stdout and stderr."""
    from experiments import cli

    logging.getLogger("hydra").setLevel(logging.WARNING)  # it tells of each run of a sweep
    before, out, err = sys.argv, io.StringIO(), io.StringIO()
    sys.argv = [word for given in shlex.split(command) for word in _expanded(given)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = cli.main()
    except SystemExit as left:
        status = int(left.code or 0)
    finally:
        sys.argv = before
    return status, out.getvalue(), err.getvalue()


def _expanded(word: str) -> list[str]:
    """Returns the paths that a word with a star stands for, as a shell would."""
    return sorted(glob.glob(word)) if "*" in word else [word]


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Works in a folder, without the public tables, which a reader need not have."""
    tables, before = os.environ.pop("NAS_DATA_DIR", None), Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        if tables is not None:
            os.environ["NAS_DATA_DIR"] = tables


def _folder(app: Sphinx, page: str) -> Path:
    return Path(app.doctreedir).parent / "sessions" / page


def _printed(text: str) -> str:
    """Returns what a command printed as HTML: sentences wrap, rows of tables do not."""
    lines = [
        f'<span class="{"row" if re.search(r"  ", line) else "sentence"}">{escape(line)}</span>'
        for line in text.rstrip().splitlines()
    ]
    return f'<pre class="printed" tabindex="0">{"".join(lines)}</pre>'


class Session(SphinxDirective):
    """Commands, one a line, and what they printed.

    Options:
        files: files that lie in the folder, relative to the sources of the site.
        status: exit status that is expected; what is told on stderr is shown where it is not 0.
        quiet: what is printed is not shown.
    """

    has_content = True
    option_spec: ClassVar = {
        "files": directives.unchanged,
        "status": directives.nonnegative_int,
        "quiet": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        """Returns a block for the commands and one for what they printed."""
        folder = _folder(self.env.app, self.env.docname)
        folder.mkdir(parents=True, exist_ok=True)
        for name in self.options.get("files", "").split():
            self.env.note_dependency(name)
            shutil.copy(Path(self.env.srcdir) / name, folder)
        text = ""
        for command in commands(self.content):
            with _inside(folder):
                status, out, err = run(command)
            if status != self.options.get("status", 0):
                raise self.error(f"`{command}` left with status {status}: {err or out}")
            text += out if status == 0 else err
        typed = nodes.literal_block("", "\n".join(self.content), language="sh")
        return [typed] if "quiet" in self.options else [typed, nodes.raw("", _printed(text), format="html")]


class Artefact(SphinxDirective):
    """A file that a session of the page made: a picture, or a link whose text is the content."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {"alt": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """Copies the file and returns what shows it."""
        made = _folder(self.env.app, self.env.docname) / self.arguments[0]
        if not made.is_file():
            raise self.error(f"No session of this page made {self.arguments[0]}.")
        address = f"sessions/{self.env.docname}/{self.arguments[0]}"
        copied = Path(self.env.app.outdir) / address
        copied.parent.mkdir(parents=True, exist_ok=True)
        for file in made.parent.iterdir() if made.suffix == ".html" else [made]:  # a page links what lies beside it
            if file.suffix in _SHOWN:
                shutil.copy(file, copied.parent)
        here = "../" * self.env.docname.count("/") + address
        if made.suffix == ".png":
            html = f'<p><img class="made" src="{escape(here)}" alt="{escape(self.options["alt"])}"></p>'
        else:
            html = f'<p><a href="{escape(here)}">{escape(" ".join(self.content))}</a></p>'
        return [nodes.raw("", html, format="html")]


def _afresh(app: Sphinx, page: str, source: list[str]) -> None:
    """Empties the folder of a page that is read again."""
    shutil.rmtree(_folder(app, page), ignore_errors=True)


def setup(app: Sphinx) -> None:
    """Adds the directives."""
    app.add_directive("session", Session)
    app.add_directive("artefact", Artefact)
    app.connect("source-read", _afresh)
