"""Sphinx configuration of the documentation site; ``make docs`` builds it into ``build/docs``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extension"))

import nas

project = "zeronas"
author = "the zeronas authors"
version = release = nas.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "zeronas_docs"]
exclude_patterns = ["examples"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_use_ivar = True
python_maximum_signature_line_length = 88

html_theme = "furo"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_copy_source = False
