"""Measure the speed of a model; see ``--help``.

The command is :mod:`glip.cli.analysis_tools.benchmark`.
"""

from glip.cli.analysis_tools.benchmark import main
from glip.cli.common import run_main

if __name__ == "__main__":
    run_main(main)
