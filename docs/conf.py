"""Configuration of the documentation site: ``make docs`` builds it into ``build/docs``, without the network.

Its sources are the pages beside this file, the docstrings, and the committed results under ``experiments``.
"""

import atexit
import gc
import os
import sys
import tempfile
from pathlib import Path

# one thread, as a run's workers have; torch reads this when it is first imported
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
gc.set_threshold(100_000, 50, 100)  # trees of nodes are circles, and looking for them takes a quarter of the build
HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extension"))

import nas  # noqa: E402
from zeronas_docs import examples  # noqa: E402 (the path comes first)
from zeronas_docs.figures import figures  # noqa: E402

_metadata = tempfile.TemporaryDirectory(prefix="zeronas-docs-")
atexit.register(_metadata.cleanup)
examples.install(Path(_metadata.name))

project = "zeronas"
author = "the zeronas authors"
version = release = nas.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "zeronas_docs"]
exclude_patterns = ["examples", "extension"]

myst_enable_extensions = ["deflist", "dollarmath", "substitution"]
myst_heading_anchors = 3
myst_substitutions = figures()

autodoc_member_order = "bysource"
napoleon_use_ivar = True
napoleon_custom_sections = [("Class attributes", "params_style")]
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"zeronas {release}"
html_math_renderer = "mathml"  # browsers draw it themselves; the others load a script from the network
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = html_show_copyright = False
