"""Analysis of models, data sets and stored predictions; the commands are in :mod:`glip.cli`."""
