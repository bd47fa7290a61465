"""What can end a training in a way that its user can mend."""

from __future__ import annotations


class TrainingError(ValueError):
    """A training cannot begin or go on; the message says why and what to do."""
