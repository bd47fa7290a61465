"""Serve a web page that detects; see ``--help``.

The command is :mod:`glip.cli.web`.
"""

from glip.cli.common import run_main
from glip.cli.web import main

if __name__ == "__main__":
    run_main(main)
