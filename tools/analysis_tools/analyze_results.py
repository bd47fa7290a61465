"""Find the images with the best and the worst predictions; see ``--help``.

The command is :mod:`glip.cli.analysis_tools.analyze_results`.
"""

from glip.cli.analysis_tools.analyze_results import main
from glip.cli.common import run_main

if __name__ == "__main__":
    run_main(main)
