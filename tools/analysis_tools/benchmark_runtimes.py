"""Compare a model in torch with its exported forms; see ``--help``.

The command is :mod:`glip.cli.analysis_tools.benchmark_runtimes`.
"""

from glip.cli.analysis_tools.benchmark_runtimes import main
from glip.cli.common import run_main

if __name__ == "__main__":
    run_main(main)
