"""The metrics that hooks and schedulers watch."""

from __future__ import annotations

from collections.abc import Collection

from glip.utils.errors import TrainingError
from glip.utils.messages import suggest


def check_monitored(option: str, key: str, metrics: Collection[str], where: str) -> None:
    """Check that a watched metric is among those of a validation.

    Args:
        option: name of the option, for example ``save_best``.
        key: its value, the name of a metric.
        metrics: names of the metrics of the validation.
        where: the entry of the config to change.

    Raises:
        TrainingError: it is not; the message names the nearest metric.
    """
    if key in metrics:
        return
    names = ", ".join(metrics) or "none"
    raise TrainingError(
        f"{option}={key!r} is not a metric of this validation ({suggest(key, metrics)}): expected "
        f"one of {names}. Set {where} and continue with --resume"
    )
