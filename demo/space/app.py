"""A Hugging Face Space: the page of ``glip web``.

Change the weights here; the options are those of ``glip web --help``.
"""

import sys

from glip.cli.common import run_main
from glip.cli.web import main

#: Spaces forward port 7860 of the container, which listens on all its addresses.
OPTIONS = ["--weights", "glip_tiny_a", "--host", "0.0.0.0"]

if __name__ == "__main__":
    run_main(lambda: main([*OPTIONS, *sys.argv[1:]]))
