"""Count the parameters and FLOPs of a model; see ``--help``.

The command is :mod:`glip.cli.analysis_tools.get_flops`.
"""

from glip.cli.analysis_tools.get_flops import main
from glip.cli.common import run_main

if __name__ == "__main__":
    run_main(main)
