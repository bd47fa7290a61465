"""Registries of scope ``glip``, children of mmengine's.

Another OpenMMLab project reaches them by prefix, for example ``type='glip.GLIP'``. The modules
under ``locations`` are imported when something is first looked up, so importing this file is cheap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import EVALUATOR as MMENGINE_EVALUATOR
from mmengine.registry import FUNCTIONS as MMENGINE_FUNCTIONS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOG_PROCESSORS as MMENGINE_LOG_PROCESSORS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODEL_WRAPPERS as MMENGINE_MODEL_WRAPPERS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import OPTIMIZERS as MMENGINE_OPTIMIZERS
from mmengine.registry import PARAM_SCHEDULERS as MMENGINE_PARAM_SCHEDULERS
from mmengine.registry import RUNNERS as MMENGINE_RUNNERS
from mmengine.registry import TASK_UTILS as MMENGINE_TASK_UTILS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import VISBACKENDS as MMENGINE_VISBACKENDS
from mmengine.registry import VISUALIZERS as MMENGINE_VISUALIZERS
from mmengine.registry import Registry

#: Networks: detector, backbone, neck, language model, head, losses, data preprocessor.
MODELS = Registry("model", parent=MMENGINE_MODELS, scope="glip", locations=["glip.models"])
#: Parts without weights: anchor generator, box coder, assigner, IoU calculator.
TASK_UTILS = Registry(
    "task util", parent=MMENGINE_TASK_UTILS, scope="glip", locations=["glip.models"]
)
#: Steps of a data pipeline.
TRANSFORMS = Registry(
    "transform", parent=MMENGINE_TRANSFORMS, scope="glip", locations=["glip.datasets.transforms"]
)
#: Data sets.
DATASETS = Registry("dataset", parent=MMENGINE_DATASETS, scope="glip", locations=["glip.datasets"])
#: What puts images into batches.
DATA_SAMPLERS = Registry(
    "data sampler",
    parent=MMENGINE_DATA_SAMPLERS,
    scope="glip",
    locations=["glip.datasets.samplers"],
)
#: Metrics of the evaluation.
METRICS = Registry("metric", parent=MMENGINE_METRICS, scope="glip", locations=["glip.evaluation"])
#: Evaluators, which feed predictions to metrics.
EVALUATOR = Registry(
    "evaluator", parent=MMENGINE_EVALUATOR, scope="glip", locations=["glip.evaluation"]
)
#: Runner hooks.
HOOKS = Registry("hook", parent=MMENGINE_HOOKS, scope="glip", locations=["glip.engine"])
#: What stands in the log.
LOG_PROCESSORS = Registry(
    "log processor", parent=MMENGINE_LOG_PROCESSORS, scope="glip", locations=["glip.engine"]
)
#: Loops of the runner.
LOOPS = Registry("loop", parent=MMENGINE_LOOPS, scope="glip", locations=["glip.engine"])
#: Optimizer wrappers, which step, accumulate and clip gradients.
OPTIM_WRAPPERS = Registry(
    "optim_wrapper", parent=MMENGINE_OPTIM_WRAPPERS, scope="glip", locations=["glip.engine"]
)
#: What gives an optimizer its parameters.
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    "optimizer wrapper constructor",
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    scope="glip",
    locations=["glip.engine"],
)
#: Runners.
RUNNERS = Registry("runner", parent=MMENGINE_RUNNERS, scope="glip", locations=["glip.engine"])
#: Visualizers.
VISUALIZERS = Registry(
    "visualizer", parent=MMENGINE_VISUALIZERS, scope="glip", locations=["glip.visualization"]
)
# Of these all are mmengine's: without an entry for our scope it would warn at each use.
FUNCTIONS = Registry("function", parent=MMENGINE_FUNCTIONS, scope="glip")
MODEL_WRAPPERS = Registry("model wrapper", parent=MMENGINE_MODEL_WRAPPERS, scope="glip")
OPTIMIZERS = Registry("optimizer", parent=MMENGINE_OPTIMIZERS, scope="glip")
PARAM_SCHEDULERS = Registry("parameter scheduler", parent=MMENGINE_PARAM_SCHEDULERS, scope="glip")
VISBACKENDS = Registry("visualizer backend", parent=MMENGINE_VISBACKENDS, scope="glip")


def build_part(registry: Registry, cfg: Mapping) -> Any:
    """Build what stands inside a config of ours: a detector's part, a pipeline's step.

    Its name is looked for in ``registry`` first, then in the scope of the config. So a project of
    another scope that says ``type='glip.GLIP'`` needs no prefix inside; its own parts need none
    either, unless their names are ours too.
    """
    registry.import_from_location()
    name = cfg.get("type")
    if isinstance(name, str) and name.removeprefix(f"{registry.scope}.") in registry.module_dict:
        # The part's own parts are then built in our scope as well.
        cfg = dict(cfg, _scope_=registry.scope)
    return registry.build(cfg)
