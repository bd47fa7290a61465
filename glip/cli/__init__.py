"""Commands, one module each; the scripts in ``tools/`` and ``demo/`` run them.

A module has ``add_arguments(parser)``, ``run(args)``, ``build_parser()`` and ``main(argv=None)``.
Only ``run`` imports torch and the like, so that ``--help`` and usage errors are fast.
"""
