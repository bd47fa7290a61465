"""Registries of scope ``glip``, children of mmengine's.

Another OpenMMLab project reaches them by prefix, for example ``type='glip.GLIP'``: mmengine then
imports this module by its name. The modules under ``locations`` are imported at the first lookup,
so importing this module is cheap.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from mmengine import registry as parents
from mmengine.registry import Registry

# The transforms derive from mmcv's. mmcv is not a dependency of the package, because pip would
# install mmcv-lite over a full mmcv.
if find_spec("mmcv") is None:
    raise ImportError(
        "glip needs mmcv, which is not installed. Install the light build with "
        "`pip install mmcv-lite` (enough for everything here), or the full one with "
        "`pip install mmcv` if another OpenMMLab project needs its compiled ops; "
        "never both at once."
    )

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
# Nothing is registered below: mmengine warns at each use of a registry that has no child of the
# current scope.
FUNCTIONS = Registry("function", parent=parents.FUNCTIONS, scope="glip")
MODEL_WRAPPERS = Registry("model wrapper", parent=parents.MODEL_WRAPPERS, scope="glip")
OPTIMIZERS = Registry("optimizer", parent=parents.OPTIMIZERS, scope="glip")
PARAM_SCHEDULERS = Registry("parameter scheduler", parent=parents.PARAM_SCHEDULERS, scope="glip")
VISBACKENDS = Registry("visualizer backend", parent=parents.VISBACKENDS, scope="glip")


def build_part(registry: Registry, cfg: Mapping) -> Any:
    """Build a component named in a config of ours: a detector's part, a pipeline's step.

    Its name is looked up in ``registry`` first, then in the current scope. A project of another
    scope that configures ``type='glip.GLIP'`` therefore needs no prefix for the parts inside it,
    and none for its own parts either, unless a name is also registered here.

    Args:
        registry: one of the registries of this module.
        cfg: config with ``type``.

    Raises:
        KeyError: neither scope has this ``type``.
    """
    registry.import_from_location()
    name = cfg.get("type")
    if isinstance(name, str) and name.removeprefix(f"{registry.scope}.") in registry.module_dict:
        # Builds the parts of the part in this scope as well.
        cfg = dict(cfg, _scope_=registry.scope)
    return registry.build(cfg)
