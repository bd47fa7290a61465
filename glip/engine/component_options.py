"""Checks of components of a config before the data and the model are built.

Most constructors are quick, so that the components themselves say what they refuse: they are built
from their configs and discarded.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Collection, Mapping
from typing import Any

from mmengine.registry import Registry
from mmengine.utils import ManagerMixin

from glip.registry import check_component
from glip.utils.errors import AnnotationFileError, ConfigError, GLIPError, summarize
from glip.utils.messages import shorten


def check_built(
    registry: Registry,
    cfg: Any,
    name: str,
    *,
    given: Mapping[str, Any] | None = None,
    optional: Collection[str] = (),
    of_any_module: bool = False,
) -> Any:
    """Check a component's config, by building it if its class is known to be quick and harmless.

    Args:
        registry: the registry that builds it.
        cfg: its config.
        name: its place in the config.
        given: arguments that whoever builds it adds.
        optional: further options of the config that whoever builds it removes.
        of_any_module: whether the classes of other packages are quick and harmless as well.

    Returns:
        The component; ``None`` if it was not built.

    Raises:
        ConfigError: the type or an option is unknown or invalid.
    """
    if isinstance(cfg, Mapping):
        cfg = {key: value for key, value in cfg.items() if key not in optional}
    given = given or {}
    kind = check_component(registry, cfg, name, given=tuple(given))
    known = ("glip.", "mmengine.", "mmcv.", "torch")
    if not of_any_module and not str(getattr(kind, "__module__", "")).startswith(known):
        return None
    if inspect.isclass(kind) and issubclass(kind, ManagerMixin):  # kept by its name
        return None
    try:
        return registry.build(copy.deepcopy({**cfg}), default_args={**given})
    except (AnnotationFileError, ImportError):
        # No matter of options: whoever uses the file or the package says what is missing, or skips
        # it, as an evaluation skips data sets that do not exist.
        return None
    except GLIPError as error:
        raise ConfigError(f"{name}: {error}") from None
    except Exception as error:
        reason = " ".join(summarize(error).split())
        if isinstance(error, (AssertionError, ValueError)) and str(error):
            reason = reason.removeprefix(f"{type(error).__name__}: ")  # it says nothing more
        values = {key: value for key, value in cfg.items() if key != "type"}
        raise ConfigError(
            f"{name} of type {_type_name(cfg)} is refused ({reason}): got {shorten(values)}"
        ) from None


def _type_name(cfg: Mapping) -> str:
    kind = cfg.get("type")
    return kind if isinstance(kind, str) else getattr(kind, "__name__", shorten(kind))
