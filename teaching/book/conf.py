"""The web book: the executed lessons as pages. No cell is run, nothing is fetched when it is read.

Sphinx is given the folder that teaching/book/gather.py wrote: see `make book`.
"""

from importlib.util import find_spec
from pathlib import Path

from myst_nb.core.render import NbElementRenderer

# One file of MathJax 3.2.2; as an extension the package would copy 22 MB.
MATHJAX = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static/mathjax/tex-svg.js"

project = html_title = "From attention to sight"
copyright = "CC BY 4.0"
language = "en"
extensions = ["myst_nb", "sphinx.ext.mathjax", "sphinx_copybutton"]
exclude_patterns = ["notebooks"]
nitpicky = True

html_theme = "furo"
html_static_path = ["book.css", "book.js", str(MATHJAX)]
html_css_files = ["book.css"]
html_js_files = ["book.js"]
html_show_sourcelink = False
html_copy_source = False
mathjax_path = "tex-svg.js"
# A command that MathJax does not know is an error, which the tests find, and not red letters.
mathjax3_config = {"tex": {"packages": {"[-]": ["noundefined"]}}}
copybutton_selector = "div.cell_input div.highlight pre"

nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "dollarmath"]
myst_heading_anchors = 3


def setup(app):
    """Mend two things of MyST-NB 1.4: it drops a picture's alt text, and misnames what it folds."""
    render_image = NbElementRenderer.render_image

    def with_alt(self, data):
        (image,) = render_image(self, data)
        image["alt"] = data.output_metadata[data.mime_type]["alt"]
        return [image]

    def named_by_their_words(app, name, template, context, doctree):
        if "body" in context:
            context["body"] = context["body"].replace(' aria-label="Toggle hidden content"', "")

    NbElementRenderer.render_image = with_alt
    app.connect("html-page-context", named_by_their_words)
