"""Every error that a user can cause is one or two sentences, before the model is built."""

from __future__ import annotations

import traceback

import pytest
import torch
from mmengine.config import Config

from glip.apis import (
    DetInferencer,
    Predictor,
    apply_cfg_options,
    inference_detector,
    init_detector,
    load_config,
)
from glip.cli import detect, test, train
from glip.cli.analysis_tools import analyze_results, browse_dataset, confusion_matrix
from glip.cli.common import run_main
from glip.datasets import CocoDataset
from glip.engine import GLIPRunner
from glip.utils.config_entries import unread_entries
from glip.utils.errors import ConfigError, DataError, GLIPError
from tests.test_tools.commands import CONFIGS, ROOT
from tests.training import draw_examples, training_config

NANO = "glip_nano_shapes"
WEIGHTS = str(ROOT / "demo" / "glip_nano_shapes.safetensors")
IMAGE = str(ROOT / "demo" / "shapes.jpg")
TEMPLATE = str(CONFIGS / "_templates" / "finetune_on_cpu.py")


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    return draw_examples(tmp_path_factory.mktemp("data") / "examples")


@pytest.fixture
def no_model(monkeypatch):
    """Fail if a model is built."""

    def build(*args, **kwargs):
        pytest.fail("the model was built before the error")

    monkeypatch.setattr(torch.nn.Conv2d, "__init__", build)


def check_message(text: str) -> None:
    assert "\n" not in text
    assert 10 < len(text) < 500
    assert "Traceback" not in text


def check_error(error: BaseException) -> None:
    """Check the type, the length, and that no chained cause is shown."""
    assert isinstance(error, (GLIPError, TypeError, ValueError, OSError))
    check_message(str(error))
    shown = "".join(traceback.format_exception(error))
    assert shown.count("Traceback (most recent call last)") == 1


#: Options of the config, and a part of the message.
OPTIONS = [
    # data loaders
    ("train_dataloader.batch_size='2'", "batch_size as an integer of 1 or more, got '2'"),
    ("train_dataloader.batch_size=1.5", "integer"),
    ("train_dataloader.batch_size=nan", "integer"),
    ("train_dataloader.batch_size=0", "integer"),
    ("train_dataloader.batch_size=true", "integer"),
    ("train_dataloader.num_workers=10000000", "num_workers as an integer of 1024 or less"),
    ("optim_wrapper.clip_grad.norm_type=x", "norm_type as a finite number"),
    ("train_dataloader.num_workers=-1", "num_workers as an integer of 0 or more, got -1"),
    ("train_dataloader.prefetch_factor=0", "prefetch_factor"),
    ("train_dataloader.batchsize=3", "did you mean 'batch_size'?"),
    ("train_dataloader.drop_last=5", "True or False"),
    ("train_dataloader=5", "dictionary"),
    ("train_dataloader.dataset=5", "train_dataloader.dataset"),
    ("train_dataloader.sampler=5", "dict(type=...)"),
    ("train_dataloader.sampler.type=DefaultSample", "did you mean 'DefaultSampler'?"),
    ("train_dataloader.dataset.type=CocoDatset", "did you mean 'CocoDataset'?"),
    ("train_dataloader.dataset.metainfo=5", "metainfo"),
    ("train_dataloader.dataset.pipeline=5", "list"),
    ("train_dataloader.dataset.pipeline.0.type=LoadImageFromFil", "'LoadImageFromFile'?"),
    ("train_dataloader.dataset.pipeline.3.scale=(0,0)", "scale as a finite number of 1 or more"),
    ("train_dataloader.dataset.pipeline=[]", "train_dataloader.dataset has no pipeline"),
    ("train_dataloader.dataset.pipeline=None", "train_dataloader.dataset has no pipeline"),
    ("train_dataloader.dataset.ann_file=5", "ann_file as a text, got 5"),
    ("train_dataloader.dataset.data_root=5", "data_root as a text, got 5"),
    ("train_dataloader.dataset.data_prefix={'img':5}", "data_prefix.img as a folder, got 5"),
    ("train_dataloader.dataset.filter_cfg={'minsize':5}", "did you mean 'min_size'?"),
    ("train_dataloader.dataset.filter_cfg={'min_size':'x'}", "min_size as a finite number"),
    ("train_dataloader.dataset.filter_cfg={'filter_empty_gt':'yes'}", "True or False"),
    ("train_dataloader.dataset.filter_cfg=5", "filter_cfg as a dictionary"),
    ("train_dataloader.dataset.indices=x", "indices as an integer or a list of integers or None"),
    ("train_dataloader.dataset.max_unreadable=-1", "0 or more"),
    ("train_dataloader.collate_fn=5", "train_dataloader.collate_fn"),
    ("train_dataloader.collate_fn.type=default_collate", "expected dict(type='pseudo_collate')"),
    ("train_dataloader.sampler.seed=x", "sampler.seed as an integer"),
    ("train_dataloader.dataset.pipeline.0.imdecode_backend=foo", "imdecode_backend as 'pillow'"),
    ("train_dataloader.collate_fn.type=pseudo_colate", "did you mean 'pseudo_collate'?"),
    ("train_dataloader.worker_init_fn=x", "train_dataloader.worker_init_fn"),
    ("train_dataloader.dataset.pipeline.4.prob=x", "prob"),
    # the optimizer
    ("optim_wrapper=None", "has no optim_wrapper"),
    ("optim_wrapper.optimizer.lr=nan", "got nan"),
    ("optim_wrapper.optimizer.lr=-1", "0 or more"),
    ("optim_wrapper.optimizer.type=AdamWW", "did you mean 'AdamW'"),
    ("optim_wrapper.optimizer.lrr=1", "did you mean 'lr'?"),
    ("optim_wrapper.optimizer.betas=(2,3)", "beta"),
    ("optim_wrapper.optimizer=5", "optim_wrapper.optimizer"),
    ("optim_wrapper=5", "dictionary"),
    ("optim_wrapper.clip_grad.max_norm=-1", "greater than 0"),
    ("optim_wrapper.clip_grad.maxnorm=1", "did you mean 'max_norm'?"),
    ("optim_wrapper.accumulative_counts=0", "1 or more"),
    ("optim_wrapper.paramwise_cfg.custom_key.a.lr_mult=1", "did you mean 'custom_keys'?"),
    ("optim_wrapper.optimizer.eps=inf", "eps as a finite number, got inf"),
    ("optim_wrapper.optimizer.eps=x", "eps as a finite number, got 'x'"),
    ("optim_wrapper.optimizer.amsgrad=5", "amsgrad as True or False, got 5"),
    ("optim_wrapper.optimizer.betas=(0.9,)", "betas as a list of 2 values"),
    ("optim_wrapper.optimizer={'type':'Adafactor','lr':1}", "Cannot combine manual `lr`"),
    ("optim_wrapper.paramwise_cfg={'bypass_duplicate':'x'}", "bypass_duplicate as True or False"),
    ("optim_wrapper.paramwise_cfg.custom_keys.a.lr_mul=1", "did you mean 'lr_mult'"),
    ("optim_wrapper.paramwise_cfg.custom_keys.a.decay=1", "decay_mult"),
    ("param_scheduler=5", "param_scheduler"),
    ("param_scheduler={}", "it is a list there, got {}"),
    ("param_scheduler={'a':5}", "set a list, or param_scheduler.0"),
    ("param_scheduler=[{'type':'MultiStepLR','milestones':[1],'gamma':nan}]", "gamma as a finite"),
    ("param_scheduler=[{'type':'PolyLR','power':inf,'end':5}]", "power as a finite number"),
    ("param_scheduler=[{'type':'CosineAnnealingLR','eta_min':nan}]", "eta_min as a finite"),
    ("param_scheduler.0.convert_to_iter_based=True", "remove convert_to_iter_based"),
    ("param_scheduler.0.end=None", "end as an integer"),
    ("param_scheduler.0.verbose=x", "verbose as True or False"),
    ("param_scheduler.0.begin.x=1", "which has no entries; set param_scheduler.0.begin itself"),
    ("param_scheduler.7={}", "param_scheduler is a list of 2 entries, counted from 0"),
    ("param_scheduler.x.begin=1", "the index of one, got 'x'"),
    ("param_scheduler.0.type=LinearR", "did you mean 'LinearLR'?"),
    ("param_scheduler.0.begin=-1", "begin"),
    ("param_scheduler.0.start_factor=-1", "param_scheduler.0"),
    ("param_scheduler.9.end=1", "expected the index of one, got '9'"),
    # loops
    ("train_cfg.max_epochs=x", "max_epochs as an integer of 1 or more, got 'x'"),
    ("train_cfg.max_epochs=0", "integer"),
    ("train_cfg.max_epoch=1", "did you mean 'max_epochs'?"),
    ("train_cfg.val_interval=0", "integer"),
    ("train_cfg.dynamic_intervals=[('x',1)]", "dynamic_intervals as an integer of 0 or more"),
    ("train_cfg.dynamic_intervals=[(-1,1)]", "dynamic_intervals as an integer of 0 or more"),
    ("train_cfg.dynamic_intervals=5", "as pairs (begin, interval), got 5"),
    ("train_cfg.type=EpochTrainLoop", "did you mean 'EpochBasedTrainLoop'"),
    ("train_cfg=5", "train_cfg"),
    ("train_cfg=None", "has no train_cfg"),
    ("train_cfg.max_epochs=1" + "0" * 30, "max_epochs"),
    ("val_cfg=None", "but no val_cfg: validation needs all three"),
    # hooks and logs
    ("default_hooks.logger.interval=0", "interval as an integer of 1 or more, got 0"),
    ("default_hooks.logger.type=LogHook", "did you mean 'LoggerHook'"),
    ("default_hooks=5", "default_hooks"),
    ("custom_hooks=5", "custom_hooks"),
    ("custom_hooks=[{'type':'EarlyStoppingHook'}]", "needs monitor"),
    ("custom_hooks=[{'type':'EarlyStopping','monitor':'a'}]", "did you mean 'EarlyStoppingHook'"),
    ("log_level=LOUD", "log_level"),
    ("log_level=5", "log_level"),
    ("log_level=true", "log_level"),
    ("default_hooks.checkpoint.max_keep_ckpts=0", "max_keep_ckpts as an integer of 1"),
    ("default_hooks.checkpoint.interval=0", "interval"),
    ("default_hooks.checkpoint.out_dir=5", "out_dir as a text"),
    ("default_hooks.checkpoint.filename_tmpl=abc", "filename_tmpl as a text with {}"),
    ("default_hooks.checkpoint.filename_tmpl=5", "filename_tmpl as a text with {}"),
    ("custom_hooks=[{'type':'EMAHook','ema_type':'Foo'}]", "no model 'Foo' in custom_hooks.0"),
    ("default_hooks.checkpoint.filename_tmpl=../{}.pth", "filename_tmpl as a text with {}"),
    ("default_hooks.checkpoint.filename_tmpl={0.real}.pth", "filename_tmpl as a text with {}"),
    ("default_hooks.checkpoint.published_keys=[meta]", "a list with 'state_dict'"),
    ("default_hooks.checkpoint.published_keys=[state_dict,optimiser]", "mean 'optimizer'"),
    ("default_hooks.checkpoint.save_best=5", 'refused ("save_best" should be a str or list'),
    ("custom_hooks=[{'type':'EMAHook'},{'type':'EMAHook'}]", "both average the weights"),
    ("custom_hooks=[{'type':'EMAHook','momentum':0}]", "momentum must be in range"),
    ("custom_hooks=[{'type':'EarlyStoppingHook','monitor':None}]", "monitor as a text"),
    ("optim_wrapper.loss_scale=-1", "no option 'loss_scale'"),
    ("optim_wrapper={'type':'AmpOptimWrapper','loss_scale':-1}", "loss_scale as a finite number"),
    ("optim_wrapper={'type':'AmpOptimWrapper','loss_scale':'x'}", "loss_scale as 'dynamic'"),
    ("optim_wrapper={'type':'AmpOptimWrapper','loss_scale':{'init_scale':nan}}", "init_scale as"),
    ("auto_scale_lr={'enable':True}", "auto_scale_lr needs the batch size"),
    ("visualizer.vis_backends=[{'type':'ClearMLVisBackend'}]", "pip install clearml"),
    ("train_dataloader.sampler=None", "sampler as dict(type='DefaultSampler'"),
    ("train_dataloader.sampler.type=InfiniteSampler", "sampler never ends"),
    ("train_dataloader.shuffle=True", "cannot have shuffle=True"),
    ("train_dataloader.generator=5", "no option 'generator'"),
    ("train_dataloader.prefetch_factor=1000000", "from 1 to 1024"),
    ("train_dataloader.multiprocessing_context=foo", "'spawn' or 'forkserver' or None"),
    ("val_dataloader.sampler.type=InfiniteSampler", "val_dataloader.sampler never ends"),
    ("val_dataloader.drop_last=True", "leaves out the images of the last batch"),
    (
        "train_dataloader.dataset={'_delete_':True,'type':'ClassBalancedDataset',"
        "'oversample_thr':nan,'dataset':{'type':'CocoDataset'}}",
        "oversample_thr as a finite number",
    ),
    (
        "train_dataloader.dataset={'_delete_':True,'type':'ClassBalancedDataset',"
        "'oversample_thr':1,'dataset':{'type':'RepeatDataset','times':2,'dataset':{}}}",
        "put ClassBalancedDataset directly around the data set",
    ),
    ("custom_hooks=[{'type':'EMAHook','gama':5}]", "no option 'gama'"),
    ("custom_hooks=[{'type':'EMAHook','momentum':nan}]", "momentum as a finite number"),
    ("custom_hooks=[{'type':'EMAHook','update_buffers':'x'}]", "update_buffers as True or False"),
    ("custom_hooks=[{'type':'EMAHook','strict_load':'x'}]", "strict_load as True or False"),
    ("custom_hooks=[{'type':'EMAHook','priority':'FOO'}]", "custom_hooks.0.priority"),
    ("custom_hooks=[{'type':'EMAHook','priority':101}]", "custom_hooks.0.priority"),
    ("find_unused_parameters=x", "find_unused_parameters as True or False"),
    ("compile=x", "compile as True or False"),
    ("env_cfg.mp_config=5", "did you mean 'mp_cfg'?"),
    ("auto_scale_lr.base_batchsize=5", "did you mean 'base_batch_size'?"),
    ("log_processor.window_size=0", "window_size"),
    ("randomness.seed=-1", "randomness.seed"),
    ("randomness.sed=1", "did you mean 'seed'?"),
    ("env_cfg.mp_cfg.mp_start_method=foo", "fork"),
    # evaluators and model
    ("val_evaluator.type=CocoMetri", "did you mean 'CocoMetric'?"),
    ("val_evaluator=5", "val_evaluator"),
    ("val_evaluator=None", "but no val_evaluator"),
    ("val_evaluator=[]", "one or more metrics"),
    ("val_evaluator.proposal_nums=(0,1)", "proposal_nums"),
    ("val_evaluator.classwise=yes", "classwise as True or False"),
    ("model=None", "has no model"),
    ("model.backbone=5", "model.backbone"),
    ("model.backbone.depths=x", "model.backbone.depths as a list"),
    ("model.backbone.embed_dims=-1", "model.backbone.embed_dims as an integer from 1"),
    ("model.backbone.with_cp=yes", "True or False"),
    ("model.bbox_head.early_fuse=no", "model.bbox_head.early_fuse as True or False"),
    ("model.language_model.max_tokens=1000", "from 3 to 512"),
    ("model.test_cfg.chunked_size=0", "model.test_cfg.chunked_size as an integer of 1 or more"),
    ("val_evaluator.metric=segm", "bbox"),
    ("model.type=GLI", "did you mean 'GLIP'?"),
    ("model.backbone.depts=5", "did you mean 'depths'?"),
    ("model.test_cfg.score_thr=nan", "score_thr"),
    ("model.test_cfg.score_thr=-1", "from 0 to 1, got -1"),
    ("model.test_cfg.nms.iou_threshold=-1", "iou_threshold"),
    ("model.test_cfg.max_per_img=-1", "max_per_img"),
    ("model.test_cfg.score_threshold=0.5", "did you mean 'score_thr'?"),
    ("data_rot=/x", "did you mean 'data_root'?"),
    ("modle.test_cfg.score_thr=0.1", "did you mean 'model'?"),
    ("a..b=1", "a..b"),
    ("default_scope=nowhere", "default_scope"),
    ("experiment_name=\udcff", "experiment_name as a text in UTF-8"),
    ("custom_imports={'imports':['nowhere']}", "the custom_imports of the config"),
    ("custom_imports=5", "custom_imports as a dictionary"),
    ("model.type.x=5", "model.type is 'GLIP', which has no entries"),
    ("model.backbone.depths.0.1=3", "model.backbone.depths.0 is"),
]


@pytest.fixture(scope="module")
def train_file(examples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("config")
    path = folder / "train.py"
    training_config(examples, folder / "work").dump(path)
    return str(path)


@pytest.mark.parametrize(("option", "part"), OPTIONS, ids=[option for option, _ in OPTIONS])
def test_options_of_a_training(train_file, tmp_path, no_model, option, part):
    argv = [train_file, "--work-dir", str(tmp_path), "--cfg-options", option]
    with pytest.raises(SystemExit) as caught:
        run_main(lambda: train.main(argv))
    message = caught.value.code
    assert message.startswith("error: ")
    check_message(message)
    assert part in message


#: Command lines, of which some are errors of argparse.
COMMANDS = [
    (train, [TEMPLATE, "--seed", "-1"]),
    (train, [TEMPLATE, "--seed", "x"]),
    (train, [TEMPLATE, "--seed", "4294967296"]),
    (train, [TEMPLATE, "--seed", "9" * 5000]),
    (train, [TEMPLATE, "--weights", ""]),
    (train, [TEMPLATE, "--load-from", " "]),
    (train, [TEMPLATE, "--resume", ""]),
    (train, [TEMPLATE, "--work-dir", ""]),
    (train, ["--data", "", "--weights", WEIGHTS]),
    (train, [""]),
    (test, [NANO, "--weights", ""]),
    (train, [TEMPLATE, "--cfg-options", "a"]),
    (train, [TEMPLATE, "--amp", "int8"]),
    (train, ["nowhere.py"]),
    (train, [WEIGHTS]),
    (train, [NANO]),
    (train, [TEMPLATE, "--load-from", "nowhere.pth"]),
    (test, [NANO, WEIGHTS, "--out", "a.txt"]),
    (test, [WEIGHTS, NANO]),
    (test, [NANO, WEIGHTS, "--cfg-options", "model.test_cfg.score_threshold=1"]),
    (test, [NANO, WEIGHTS, "--wait-time", "-1"]),
    (test, [NANO, WEIGHTS, "--wait-time", "nan"]),
    (detect, [IMAGE, "--texts", "a", "--batch-size", "0"]),
    (detect, [IMAGE, "--texts", "a", "--batch-size", "9" * 5000]),
    (detect, [IMAGE, "--texts", "a", "--chunked-size", "0"]),
    (detect, [IMAGE, "--texts", "a", "--chunked-size", "-5"]),
    (detect, [IMAGE, "--texts", "a", "--score-thr", "nan"]),
    (detect, [IMAGE, "--texts", "a", "--score-thr", "30"]),
    (detect, [IMAGE, "--texts", "a", "--font", "nowhere.ttf"]),
    (detect, [IMAGE, "--texts", "a", "--font", IMAGE]),
    (browse_dataset, [NANO, "--split", "test", "--font", "nowhere.ttf"]),
    (browse_dataset, [NANO, "--split", "test", "--num", "0"]),
    (confusion_matrix, [NANO, "a.pkl", "a.png", "--iou-thr", "50"]),
    (confusion_matrix, [NANO, "a.pkl", "a.png", "--score-thr", "inf"]),
    (analyze_results, [NANO, "a.pkl", "out", "--score-thr", "-0.1"]),
    (detect, [IMAGE, "--texts", ""]),
    (detect, [IMAGE]),
    (detect, [IMAGE, NANO, "--texts", "a"]),
    (detect, [IMAGE, NANO, "nowhere.pth", "--texts", "a", "--device", "gpu"]),
    (detect, [IMAGE, WEIGHTS, NANO, "--texts", "a"]),
    (detect, [IMAGE, "--texts", "a", "--cfg-options", "model.test_cfg.nms.iou_threshold=2"]),
]


@pytest.mark.parametrize(("module", "argv"), COMMANDS, ids=[" ".join(a)[-60:] for _, a in COMMANDS])
def test_commands(module, argv, capsys, monkeypatch, no_model):
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as caught:
        run_main(lambda: module.main(argv))
    if caught.value.code == 2:
        assert capsys.readouterr().err.splitlines()[-1].count("error: ") == 1
    else:
        check_message(caught.value.code)


def test_interrupted():
    def main():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as caught:
        run_main(main)
    assert caught.value.code == 130
    assert caught.value.__suppress_context__


def test_show_without_a_display(monkeypatch, no_model):
    monkeypatch.setattr("matplotlib.pyplot.get_backend", lambda: "Agg")
    for module, argv in (
        (detect, [IMAGE, "--texts", "a", "--show"]),
        (test, [NANO, WEIGHTS, "--show"]),
        (browse_dataset, [NANO, "--split", "test", "--show"]),
    ):
        with pytest.raises(SystemExit) as caught:
            run_main(lambda module=module, argv=argv: module.main(argv))
        assert "there is no display" in caught.value.code
        assert "--out-dir" in caught.value.code
        assert "--show-dir" in caught.value.code


@pytest.fixture(scope="module")
def nano():
    return init_detector(NANO, WEIGHTS, device="cpu")


def options(**values):
    values = {key.replace("__", "."): value for key, value in values.items()}
    return lambda _: init_detector(NANO, WEIGHTS, device="cpu", cfg_options=values)


CALLS = {
    "config None": lambda _: init_detector(None),
    "config is a checkpoint": lambda _: init_detector(WEIGHTS),
    "config 5": lambda _: init_detector(5),
    "config {}": lambda _: init_detector({}),
    "config unknown": lambda _: init_detector("nanoo"),
    "config too long": lambda _: init_detector("x" * 5000),
    "config null": lambda _: init_detector("a\0b"),
    "config load 5": lambda _: load_config(5),
    "checkpoint 5": lambda _: init_detector(NANO, 5, device="cpu"),
    "checkpoint missing": lambda _: init_detector(NANO, "nowhere.pth", device="cpu"),
    "device gpu": lambda _: init_detector(NANO, WEIGHTS, device="gpu"),
    "device list": lambda _: init_detector(NANO, WEIGHTS, device=[1]),
    "palette": lambda _: init_detector(NANO, WEIGHTS, palette="coco"),
    "options 5": lambda _: init_detector(NANO, WEIGHTS, device="cpu", cfg_options=5),
    "option names": lambda _: init_detector(NANO, WEIGHTS, device="cpu", cfg_options={5: 1}),
    "options None": lambda _: apply_cfg_options(load_config(NANO), None),
    "options of 5": lambda _: apply_cfg_options(5, {"a": 1}),
    "score_thr": options(model__test_cfg__score_thr=float("nan")),
    "iou_threshold": options(model__test_cfg__nms__iou_threshold=-1),
    "max_per_img": options(model__test_cfg__max_per_img=-1),
    "typo": options(model__test_cfg__score_threshold=0.1),
    "test_cfg 5": options(model__test_cfg=5),
    "class_agnostic": options(model__test_cfg__nms__class_agnostic=True),
    "divisor 0": options(model__data_preprocessor__pad_size_divisor=0),
    "divisor -1": options(model__data_preprocessor__pad_size_divisor=-1),
    "std 0": options(model__data_preprocessor__std=(0, 1, 1)),
    "tuning": options(model__tuning="foo"),
    "depths": options(model__backbone__depths="x"),
    "stages": options(model__backbone__depths=[1, 1]),
    "num_outs": options(model__neck__num_outs=3),
    "head channels": options(model__bbox_head__in_channels=7),
    "strides": options(model__bbox_head__anchor_generator__strides=[0] * 5),
    "base scale": options(model__bbox_head__anchor_generator__octave_base_scale="x"),
    "no neck": options(model__neck=None),
    "no head": options(model__bbox_head=None),
    "no text": options(model__language_model=5),
    "bert": options(model__language_model__config=5),
    "train_cfg 5": options(model__train_cfg=5),
    "bgr_to_rgb": options(model__data_preprocessor__bgr_to_rgb="yes"),
    "pipeline []": options(test_pipeline=[]),
    "pipeline of 5": options(test_pipeline=[5]),
    "pipeline scale": options(test_pipeline__1__scale=(0, 0)),
    "pipeline step": options(test_pipeline__1__type="Rezise"),
    "pipeline bool": options(test_pipeline__1__keep_ratio="x"),
    "visualizer 5": options(visualizer=5),
    "scope 5": options(default_scope=5),
    "shown from 5": options(default_score_thr=5),
    "part": options(model__tst_cfg=dict(a=1)),
    "Predictor file": lambda _: Predictor("file"),
    "Predictor None": lambda _: Predictor(None),
    "predict without image": lambda model: Predictor(model).predict("a ."),
    "DetInferencer 5": lambda _: DetInferencer(model=5),
    "DetInferencer nothing": lambda _: DetInferencer(),
    "DetInferencer weights 5": lambda _: DetInferencer(weights=5),
    "DetInferencer checkpoint": lambda _: DetInferencer(model=WEIGHTS),
    "detector text": lambda _: inference_detector("m", IMAGE, text_prompt="a ."),
    "no prompt": lambda model: inference_detector(model, IMAGE),
    "prompt 5": lambda model: inference_detector(model, IMAGE, text_prompt=5),
    "image missing": lambda model: inference_detector(model, "nowhere.jpg", text_prompt="a ."),
    "pipeline 5": lambda m: inference_detector(m, IMAGE, text_prompt="a .", test_pipeline=5),
    "batch_size text": lambda model: DetInferencer(model)(IMAGE, texts="a .", batch_size="2"),
    "batch_size 1.5": lambda model: DetInferencer(model)(IMAGE, texts="a .", batch_size=1.5),
    "threshold": lambda m: DetInferencer(m)(IMAGE, texts="a .", pred_score_thr=float("nan")),
    "out_dir": lambda model: DetInferencer(model)(IMAGE, texts="a .", out_dir=5),
    "runner without model": lambda _: GLIPRunner.from_cfg(Config(dict(work_dir="a"))),
    "runner without work_dir": lambda _: GLIPRunner.from_cfg(Config(dict(model=dict(type="X")))),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls(nano, name):
    with pytest.raises((GLIPError, TypeError, ValueError, OSError)) as caught:
        CALLS[name](nano)
    check_error(caught.value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("model = dict(\n", "in line 1"),
        ("a = 1\nb = = 2\n", "in line 2"),
        ("a = 1\nmodel = undefined\n", "NameError"),
        ("a = 1 / 0\n", "ZeroDivisionError"),
        ("_base_ = 'nowhere.py'\n", "nowhere.py"),
    ],
)
def test_broken_config_files(tmp_path, text, part):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(GLIPError) as caught:
        load_config(path)
    check_error(caught.value)
    assert "broken.py" in str(caught.value)
    assert part in str(caught.value)


class Own:
    """A backbone of the user, whose error keeps its traceback."""

    def __init__(self):
        raise RuntimeError("mine")


def test_error_of_own_code():
    with pytest.raises(ConfigError, match="mine") as caught:
        init_detector(
            NANO, device="cpu", cfg_options={"model.backbone": dict(type=Own, _delete_=True)}
        )
    assert isinstance(caught.value.__cause__, RuntimeError)


ENTRIES = [
    ("optim_wraper = dict(type='OptimWrapper')", "did you mean 'optim_wrapper'?"),
    ("modle = dict(type='GLIP')", None),  # not similar enough to be sure
    ("train_dataloder = dict(batch_size=1)", "did you mean 'train_dataloader'?"),
    ("custom_hook = [dict(type='EMAHook')]", "did you mean 'custom_hooks'?"),
    ("param_schedulers = []", "did you mean 'param_scheduler'?"),
    ("load_form = 'a.pth'", "did you mean 'load_from'?"),
    ("test_piplines = [dict(type='Resize')]", "did you mean 'test_pipeline'?"),
    ("lr_config = dict(policy='step')", "its place is param_scheduler"),
    ("seed = 5", "its place is randomness.seed"),
    ("seed = 5\nrandomness = dict(seed=seed)", None),
    ("max_pixels = 5", "its place is LoadImageFromFile in the pipelines"),
    ("max_pixels = 5\ntest_pipeline = [dict(max_pixels=max_pixels)]", None),
    ("resume_from = 'a.pth'", "its place is load_from"),
    ("optimizer = dict(type='SGD')", "its place is optim_wrapper.optimizer"),
    ("optimizer = dict(type='SGD')\noptim_wrapper = dict(optimizer=optimizer)", None),
    ("train_pipeline1 = [dict(type='Resize')]\nx = dict(a=train_pipeline1)", "train_pipeline"),
    ("train_pipeline1 = [dict(type='Resize')]\ntest_dataloader = dict(p=train_pipeline1)", None),
    ("max_epochs = 12\nbackend_args = None\ndataset_type = 'CocoDataset'", None),
    ("backend_args = dict(backend='local')\ndatasets = [1]\nbase_test_pipeline = [2]", None),
]


@pytest.mark.parametrize(("text", "hint"), ENTRIES, ids=[text[:30] for text, _ in ENTRIES])
def test_entries_that_nothing_reads(text, hint):
    found = list(unread_entries(Config.fromstring(text, ".py")))
    assert len(found) == (hint is not None)
    if hint:
        check_message(found[0])
        assert hint in found[0]


def test_warning_of_an_entry_that_nothing_reads(caplog):
    cfg = load_config(NANO)
    cfg.custom_hook = [dict(type="EMAHook")]
    init_detector(cfg, WEIGHTS, device="cpu")
    assert caplog.text.count("custom_hook") == 2  # the entry, and what was meant


@pytest.mark.parametrize(
    "key",
    [
        "CLASSES",
        "Classes",
        "NAMES",
        "names",
        "class_names",
        "classNames",
        "class",
        "clases",
        "labels",
    ],
)
def test_class_names_under_another_key(key):
    with pytest.raises(DataError, match=r"metainfo has the key .* metainfo=dict\(classes="):
        CocoDataset(ann_file="a.json", metainfo={key: ("cat",)}, lazy_init=True)


@pytest.mark.parametrize("metainfo", [dict(classes=("cat",), palette=[(1, 2, 3)], version=2), None])
def test_other_facts_of_the_data(metainfo):
    CocoDataset(ann_file="a.json", metainfo=metainfo, lazy_init=True)


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float16, 5e-3), (torch.bfloat16, 3e-2), (torch.float64, 1e-4)],
)
def test_converted_models(dtype, tolerance):
    prompt = "red star . green triangle . purple square ."
    expected, found = (
        inference_detector(model, IMAGE, text_prompt=prompt).pred_instances.scores[:4]
        for model in (
            init_detector(NANO, WEIGHTS, device="cpu"),
            init_detector(NANO, WEIGHTS, device="cpu").to(dtype),
        )
    )
    torch.testing.assert_close(found.float(), expected, atol=tolerance, rtol=0)


def test_model_of_inference_mode():
    with torch.inference_mode():
        model = init_detector(NANO, WEIGHTS, device="cpu")
    found = inference_detector(model, IMAGE, text_prompt="red star .").pred_instances
    assert found.scores[0] > 0.5
