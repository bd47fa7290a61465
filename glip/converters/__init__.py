"""From the files of well-known data sets to lines; the tools of the same names run these.

An annotation file is read as a stream and each line is written when it is complete, so that files
of many gigabytes fit: what is kept in memory of a box are some 50 bytes.
"""
