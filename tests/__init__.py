"""Tests, in the tree of the package."""

import os

# Before torch is imported: threads that wait must sleep, not spin, or two processes on the same
# cores are ten times slower than one after the other.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
