"""Registries of scope ``glip``, children of mmengine's.

Another OpenMMLab project reaches them by prefix, for example ``type='glip.GLIP'``. The modules
under ``locations`` are imported when something is first looked up, so importing this file is cheap.
"""

from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import EVALUATOR as MMENGINE_EVALUATOR
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import RUNNERS as MMENGINE_RUNNERS
from mmengine.registry import TASK_UTILS as MMENGINE_TASK_UTILS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
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
#: Metrics of the evaluation.
METRICS = Registry("metric", parent=MMENGINE_METRICS, scope="glip", locations=["glip.evaluation"])
#: Evaluators, which feed predictions to metrics.
EVALUATOR = Registry(
    "evaluator", parent=MMENGINE_EVALUATOR, scope="glip", locations=["glip.evaluation"]
)
#: Runner hooks.
HOOKS = Registry("hook", parent=MMENGINE_HOOKS, scope="glip", locations=["glip.engine"])
#: Runners.
RUNNERS = Registry("runner", parent=MMENGINE_RUNNERS, scope="glip", locations=["glip.engine"])
#: Visualizers.
VISUALIZERS = Registry(
    "visualizer", parent=MMENGINE_VISUALIZERS, scope="glip", locations=["glip.visualization"]
)
