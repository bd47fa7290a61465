#!/usr/bin/env bash
# Check the wheel as a user has it: in a new environment with nothing else, in an empty folder and
# offline: detect with the small model, an official checkpoint and a URL; fine-tune, evaluate, and
# detect with the result. Then in an environment without torch: detect with an exported model.
# Usage: .ci/check_wheel.sh VENV [WHEEL]     VENV is created
set -euo pipefail
venv=$(realpath -m "$1")
wheel=${2:+$(realpath "$2")}
cd "$(dirname "$0")/.."
unset PYTHONPATH # or pip finds the package of the caller there
root=$PWD
dir=$(mktemp -d)
server=
export=
trap '[ -z "$server$export" ] || kill $server $export 2> /dev/null || true; rm -rf "$dir"' EXIT
mkdir "$dir/source" "$dir/empty"

python3 -m venv "$venv"
if [ -z "$wheel" ]; then
    git archive HEAD | tar -x -C "$dir/source" 2>/dev/null || cp -r . "$dir/source"
    "$venv/bin/pip" wheel -q --no-deps -w "$dir" "$dir/source"
    wheel=$(echo "$dir"/glip-*.whl)
fi
"$venv/bin/pip" install -q "$wheel[all,export]"
echo "installed $(basename "$wheel"), $(du -h "$wheel" | cut -f 1), after $SECONDS s"
rm -rf "$dir/source"

cd "$dir/empty"
export PATH="$venv/bin:$PATH" HF_HUB_OFFLINE=1 GLIP_HOME="$dir/weights" CUDA_VISIBLE_DEVICES=
python - << 'PY'
import importlib.metadata
from pathlib import Path

import glip
from glip.config import demo_file
from glip.text import load_vocabulary
from glip.text.tokenizer import load_tokenizer

assert "site-packages" in glip.__file__, glip.__file__
name = "glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365"
assert glip.get_config(name).model.type == "GLIP"
assert len(load_vocabulary("lvis")) == 1203
assert len(load_tokenizer("bert-base-uncased")) == 30522
assert ".mim" in demo_file("shapes.jpg").parts
assert demo_file("demo.jpg").is_file()
assert len(list(demo_file("backgrounds").glob("*.jpg"))) == 8
needs = [r for r in importlib.metadata.requires("glip") if "extra" not in r]
assert not any("mmcv" in r for r in needs), needs
files = [str(each) for each in importlib.metadata.files("glip")]
assert any(each.endswith("NOTICE") for each in files)
assert not any(part in ("tests", "tools") for each in files for part in Path(each).parts[:1])
PY
glip info > info.txt
glip info glip_nano_shapes > nano.txt
grep -q "glip_nano_shapes" nano.txt

# The export takes 40 s of one core: beside the rest.
glip export --weights glip_nano_shapes --out "$dir/exported" --static 192x256 > export.txt 2>&1 &
export=$!

echo "+ the small model, by the command and by the module"
prompt='red star . green triangle . purple square .'
for run in glip "python -m glip"; do
    $run detect demo/shapes.jpg --texts "$prompt" --out-dir found
    python "$root/.ci/check_outputs.py" found
    rm -r found
done

echo "+ an official checkpoint without a config, with weights by the rule of the parity tests"
python - << 'PY'
import torch
from mmengine.registry import DefaultScope

from glip import get_config
from glip.registry import MODELS
from glip.testing import draw_state_dict

cfg = get_config("glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365")
with DefaultScope.overwrite_default_scope("glip"), torch.device("meta"):
    reference = MODELS.build(cfg.model).state_dict()
torch.save({"model": draw_state_dict(reference)}, "official.pth")
PY
glip info official.pth | grep "microsoft/GLIP"
glip detect demo/demo.jpg --weights official.pth --texts 'bench . car .' --score-thr 0 --out-dir official \
    --cfg-options test_pipeline.1.scale='(256,256)'
python -c 'import json; assert json.load(open("official/preds/demo.json"))["scores"]'

echo "+ a URL"
mkdir served
cp "$(python -c 'from glip.config import demo_file; print(demo_file("glip_nano_shapes.safetensors"))')" served/small.safetensors
python -u -m http.server 0 --bind 127.0.0.1 --directory served > server.txt 2>&1 &
server=$!
until grep -q "port" server.txt; do sleep 0.1; done
url="http://127.0.0.1:$(sed -n 's/.* port \([0-9]*\).*/\1/p' server.txt | head -n 1)/small.safetensors"
glip detect demo/shapes.jpg --weights "$url" --texts "$prompt" --score-thr 0.6 --out-dir found
python "$root/.ci/check_outputs.py" found

echo "+ fine-tune on generated data, evaluate, detect"
# The first block of the notebook draws the data.
awk '/^```$/ {if (on) exit} on {print} /^```python$/ {on = 1}' "$root/docs/notebooks/finetune.md" > draw.py
python draw.py
glip train --data mine --weights glip_nano_shapes --out-dir tuned --seed 0 \
    --cfg-options train_cfg.max_epochs=1 > train.txt
glip test --ann mine/val.json --images mine/val --weights tuned/epoch_1.pth --out-dir tested > test.txt 2>&1
grep "coco/bbox_mAP_50 " test.txt
glip detect mine/val/1.png --weights tuned/epoch_1.pth --texts 'car . cat .' --out-dir new
python - << 'PY'
import json

assert {"car", "cat"} <= set(json.load(open("new/preds/1.json"))["label_names"])
lines = sum(1 for _ in open("train.txt"))
assert lines < 60, f"glip train printed {lines} lines"
PY

echo "+ labels of a folder"
glip label demo/shapes.jpg "$prompt" --num-workers 0 --out labels
grep -q '"bbox"' labels/annotations.json && test -s labels/review.html

echo "+ without mmcv, one sentence says what to install"
mkdir "$dir/no_mmcv"
cat > "$dir/no_mmcv/sitecustomize.py" << 'PY'
import importlib.util

_find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *args: None if name == "mmcv" else _find_spec(name, *args)
PY
if PYTHONPATH="$dir/no_mmcv" glip detect demo/shapes.jpg --texts a 2> error.txt; then
    echo "expected an error without mmcv"
    exit 1
fi
[ "$(wc -l < error.txt)" -eq 1 ] && grep "pip install mmcv-lite" error.txt || { cat error.txt; exit 1; }

echo "+ without torch: an exported model, the wheel, and the packages of the extra runtime"
wait "$export" || { cat export.txt; exit 1; }
export=
python3 -m venv "$dir/runtime"
"$dir/runtime/bin/pip" install -q -r "$root/requirements/exported.txt"
"$dir/runtime/bin/pip" install -q --no-deps "$wheel"
for package in torch transformers mmengine mmcv timm; do
    if "$dir/runtime/bin/python" -c "import $package" 2> /dev/null; then
        echo "expected an environment without $package"
        exit 1
    fi
done
"$dir/runtime/bin/glip" detect demo/shapes.jpg --weights "$dir/exported" --texts "$prompt" --out-dir exported
python "$root/.ci/check_outputs.py" exported
echo "the wheel is complete, after $SECONDS s"
