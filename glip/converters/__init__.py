"""Conversion of well-known data sets to ODVG files; ``tools/dataset_converters`` runs it.

Annotation files are streamed and each record is written as soon as it is complete, so files of many
gigabytes fit: about 50 bytes of each box stay in memory.
"""
