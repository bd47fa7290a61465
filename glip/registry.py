"""Registries of scope ``glip``, children of mmengine's.

Another OpenMMLab project reaches them by prefix, for example ``type='glip.GLIP'``: mmengine then
imports this module by its name. The modules under ``locations`` are imported at the first lookup,
so importing this module is cheap.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from importlib.util import find_spec
from typing import Any

from mmengine import registry as parents
from mmengine.registry import Registry as MMEngineRegistry

from glip.utils.component_values import check_annotated, check_like_default, check_range
from glip.utils.errors import (
    ConfigError,
    DependencyError,
    GLIPError,
    UnknownTypeError,
    foreign_cause,
    summarize,
)
from glip.utils.messages import shorten, suggest

# The transforms derive from mmcv's. mmcv is not a dependency of the package, because pip would
# install mmcv-lite over a full mmcv.
if find_spec("mmcv") is None:
    raise DependencyError(
        "glip needs mmcv, which is not installed: run `pip install mmcv-lite`, or install the full "
        "mmcv instead (never both) if another OpenMMLab project needs its compiled ops"
    )

#: The keys of a config that are no arguments of its class.
_NO_ARGUMENTS = ("type", "_scope_", "_delete_")


class Registry(MMEngineRegistry):
    """mmengine's registry, whose errors name the nearest known type or argument."""

    def build(self, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        """Build an object from its config.

        Args:
            cfg: config with ``type``.
            args: as in mmengine.
            kwargs: as in mmengine; ``default_args`` are used where ``cfg`` has no value.

        Raises:
            ConfigError: the type or an argument is unknown, or an argument is missing.
        """
        defaults = kwargs.get("default_args") or {}
        if isinstance(cfg, Mapping) and "type" not in cfg and "type" in defaults:
            cfg = {**cfg, "type": defaults["type"]}
        check_component(self, cfg, given=tuple(defaults))
        return super().build(cfg, *args, **kwargs)


def check_component(
    registry: MMEngineRegistry, cfg: Any, name: str = "", *, given: Collection[str] = ()
) -> Any:
    """Check the type and the names of the arguments of a component's config, without building it.

    Args:
        registry: the registry that builds it.
        cfg: its config.
        name: its place in the config, for example ``optim_wrapper.optimizer``.
        given: arguments that whoever builds it adds.

    Returns:
        The class or function that ``type`` names.

    Raises:
        ConfigError: the type or an argument is unknown, or an argument is missing.
    """
    what = name or f"the {registry.name}"
    if not isinstance(cfg, Mapping) or cfg.get("type") is None:
        raise ConfigError(
            f"expected {what} as a dictionary with a type, dict(type=...), got {shorten(cfg)}"
        )
    kind = find_type(registry, cfg["type"], name, scope=cfg.get("_scope_"))
    title = getattr(kind, "__name__", str(kind)) + (f" ({name})" if name else "")
    parameters, required = _arguments(kind)
    known = list(parameters)
    unknown = [key for key in cfg if key not in _NO_ARGUMENTS and key not in known]
    if unknown and required is not None:
        raise ConfigError(
            f"{title} has no option {shorten(unknown[0])}: {suggest(unknown[0], known)}"
        )
    missing = [key for key in required or () if key not in cfg and key not in given]
    if missing:
        raise ConfigError(f"{title} needs {' and '.join(missing)}: add it to its config")
    _check_values(kind, cfg, name, parameters)
    return kind


def _check_values(
    kind: Any, cfg: Mapping, name: str, parameters: Mapping[str, inspect.Parameter]
) -> None:
    """Check the values of a component's config; those of a foreign class are its own matter."""
    module = str(getattr(kind, "__module__", ""))
    if module.partition(".")[0] not in ("glip", "mmengine", "mmcv", "torch"):
        return
    types = [base.__name__ for base in getattr(kind, "__mro__", (kind,))]
    for key, value in cfg.items():
        if key in _NO_ARGUMENTS:
            continue
        place = f"{name or types[0]}.{key}"
        check_range(place, value, types)
        if key in parameters:
            if module.startswith("glip.") and isinstance(parameters[key].annotation, str):
                check_annotated(place, value, parameters[key].annotation)
            else:
                check_like_default(place, value, parameters[key])


def find_type(
    registry: MMEngineRegistry, kind: Any, name: str = "", *, scope: str | None = None
) -> Any:
    """Return what a ``type`` of a config names.

    Args:
        registry: the registry to search, with its parents and the current scope.
        kind: a name, or the class or function itself.
        name: the place in the config, for messages.
        scope: the scope to search instead of the current one.

    Raises:
        UnknownTypeError: the name is unknown; the message names the nearest known one.
    """
    place = f" in {name}" if name else ""
    if callable(kind):
        return kind
    if not isinstance(kind, str) or not kind:
        raise ConfigError(
            f"expected the type of a {registry.name}{place} as a name or a class, got "
            f"{shorten(kind)}"
        )
    with registry.switch_scope_and_registry(scope) as searched:
        found = searched.get(kind)
        if found is not None:
            return found
        known: set[str] = set()
        parent: MMEngineRegistry | None = searched
        while parent is not None:
            parent.import_from_location()
            known |= set(parent.module_dict)
            parent = parent.parent
    raise UnknownTypeError(
        f"there is no {registry.name} {shorten(kind)}{place} (a class of your own needs "
        f"custom_imports): {suggest(kind, known)}"
    )


def _arguments(kind: Callable) -> tuple[dict[str, inspect.Parameter], list[str] | None]:
    """Return all arguments of a class or function, and the names of the required ones.

    Returns:
        The required ones are ``None`` if the arguments are not known, because some go elsewhere.
    """
    functions = [kind]
    if inspect.isclass(kind):
        # A dataclass or a class of C has its signature elsewhere, which the last line handles.
        functions = [base.__dict__["__init__"] for base in kind.__mro__ if "__init__" in vars(base)]
    known: dict[str, inspect.Parameter] = {}
    required: list[str] | None = None
    for function in functions:
        if function is object.__init__:
            break
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            break
        parameters = parameters[1:] if inspect.isclass(kind) else parameters
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        known = {**{p.name: p for p in named}, **known}
        if required is None:
            required = [p.name for p in named if p.default is p.empty]
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return known, required
        if not function.__module__.startswith(("glip.", "mmengine.", "mmcv.", "torch.")):
            break
    if functions == [object.__init__] or not functions:
        return known, []
    return known, None


#: Networks: detector, backbone, neck, language model, head, losses, data preprocessor.
MODELS = Registry("model", parent=parents.MODELS, scope="glip", locations=["glip.models"])
#: Parts without weights: anchor generator, box coder, assigner, IoU calculator.
TASK_UTILS = Registry(
    "task util", parent=parents.TASK_UTILS, scope="glip", locations=["glip.models"]
)
#: Steps of a data pipeline.
TRANSFORMS = Registry(
    "transform", parent=parents.TRANSFORMS, scope="glip", locations=["glip.datasets.transforms"]
)
#: Data sets.
DATASETS = Registry(
    "dataset",
    parent=parents.DATASETS,
    scope="glip",
    locations=[
        "glip.datasets.coco",
        "glip.datasets.flickr30k",
        "glip.datasets.lvis",
        "glip.datasets.odvg.dataset",
        "glip.datasets.refexp",
        "glip.datasets.wrappers",
    ],
)
#: Samplers and batch samplers.
DATA_SAMPLERS = Registry(
    "data sampler",
    parent=parents.DATA_SAMPLERS,
    scope="glip",
    locations=["glip.datasets.samplers"],
)
#: Evaluation metrics.
METRICS = Registry("metric", parent=parents.METRICS, scope="glip", locations=["glip.evaluation"])
#: Evaluators, which pass predictions to metrics.
EVALUATOR = Registry(
    "evaluator", parent=parents.EVALUATOR, scope="glip", locations=["glip.evaluation"]
)
#: Runner hooks.
HOOKS = Registry("hook", parent=parents.HOOKS, scope="glip", locations=["glip.engine"])
#: Formatters of log lines.
LOG_PROCESSORS = Registry(
    "log processor", parent=parents.LOG_PROCESSORS, scope="glip", locations=["glip.engine"]
)
#: Train, validation and test loops of the runner.
LOOPS = Registry("loop", parent=parents.LOOPS, scope="glip", locations=["glip.engine"])
#: Optimizer wrappers, which step, accumulate and clip gradients.
OPTIM_WRAPPERS = Registry(
    "optim_wrapper", parent=parents.OPTIM_WRAPPERS, scope="glip", locations=["glip.engine"]
)
#: Constructors that group a model's parameters for the optimizer.
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    "optimizer wrapper constructor",
    parent=parents.OPTIM_WRAPPER_CONSTRUCTORS,
    scope="glip",
    locations=["glip.engine"],
)
#: Runners.
RUNNERS = Registry("runner", parent=parents.RUNNERS, scope="glip", locations=["glip.engine"])
#: Visualizers.
VISUALIZERS = Registry(
    "visualizer", parent=parents.VISUALIZERS, scope="glip", locations=["glip.visualization"]
)
#: Initialisers of weights, the ``type`` of an ``init_cfg``.
WEIGHT_INITIALIZERS = Registry(
    "weight initializer",
    parent=parents.WEIGHT_INITIALIZERS,
    scope="glip",
    locations=["glip.models.pretrained_init"],
)
# Nothing is registered below: mmengine warns at each use of a registry that has no child of the
# current scope.
FUNCTIONS = Registry("function", parent=parents.FUNCTIONS, scope="glip")
MODEL_WRAPPERS = Registry("model wrapper", parent=parents.MODEL_WRAPPERS, scope="glip")
OPTIMIZERS = Registry("optimizer", parent=parents.OPTIMIZERS, scope="glip")
PARAM_SCHEDULERS = Registry("parameter scheduler", parent=parents.PARAM_SCHEDULERS, scope="glip")
VISBACKENDS = Registry("visualizer backend", parent=parents.VISBACKENDS, scope="glip")


def build_part(registry: Registry, cfg: Any, place: str = "") -> Any:
    """Build a component named in a config of ours: a detector's part, a pipeline's step.

    Its name is looked up in ``registry`` first, then in the current scope. A project of another
    scope that configures ``type='glip.GLIP'`` therefore needs no prefix for the parts inside it,
    and none for its own parts either, unless a name is also registered here.

    Args:
        registry: one of the registries of this module.
        cfg: config with ``type``.
        place: the place in the config, for messages.

    Raises:
        ConfigError: an argument is unknown, missing or invalid, or the part cannot be built.
        UnknownTypeError: neither scope has this ``type``.
    """
    registry.import_from_location()
    if not isinstance(cfg, Mapping):
        check_component(registry, cfg, place)
    name = cfg.get("type")
    if isinstance(name, str) and name.removeprefix(f"{registry.scope}.") in registry.module_dict:
        # Builds the parts of the part in this scope as well.
        cfg = dict(cfg, _scope_=registry.scope)
    try:
        return registry.build(cfg)
    except GLIPError:
        raise
    except Exception as error:  # a part can be anyone's
        kind = getattr(name, "__name__", name)
        given = {key: value for key, value in cfg.items() if key not in _NO_ARGUMENTS}
        raise ConfigError(
            f"{kind}{f' ({place})' if place else ''} cannot be built from {shorten(given)}: "
            f"{summarize(error)}"
        ) from foreign_cause(error)
