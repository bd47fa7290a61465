"""Images that cannot be read, or whose results cannot be saved, in a run over several images."""

from __future__ import annotations

import logging
from errno import EACCES, EPERM

from glip.apis.image_inputs import ImageInput
from glip.apis.inference import is_path
from glip.utils.atomic_write import is_storage_problem
from glip.utils.errors import ImageReadError, StorageError

_logger = logging.getLogger("glip")


class Failures:
    """Images that cannot be read or saved: logged with a count, an error if it is the only one.

    Args:
        is_only: whether there is only one image.
    """

    def __init__(self, is_only: bool) -> None:
        self._is_only = is_only
        self._num_unread = 0
        self._num_unsaved = 0

    def not_read(self, error: ImageReadError, image: ImageInput) -> ImageReadError:
        """Count an image that cannot be read; the first one is logged."""
        if self._is_only:
            raise error
        if not is_path(image.source):  # its message does not name it
            error = ImageReadError(f"{image.name}: {error}")
        self._num_unread += 1
        if self._num_unread == 1:
            _logger.warning("skipped: %s", error)
        return error

    def not_saved(self, error: StorageError) -> None:
        """Count an image whose results cannot be saved; the first one is logged.

        Raises:
            StorageError: no other image could be saved either.
        """
        if self._is_only or is_storage_problem(error) or error.errno in (EACCES, EPERM):
            raise error
        self._num_unsaved += 1
        if self._num_unsaved == 1:
            _logger.warning("not saved: %s", error)

    def summarize(self, total: int) -> None:
        """Log how many images were skipped in all, if there are more than the one logged."""
        if self._num_unread > 1:
            _logger.warning(
                "%d of %d images cannot be read; the predictions hold the errors",
                self._num_unread,
                total,
            )
        if self._num_unsaved > 1:
            _logger.warning(
                "the results of %d of %d images are not saved", self._num_unsaved, total
            )
