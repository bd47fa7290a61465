#!/usr/bin/env bash
# Check a built wheel alone, in an empty folder and offline: what it contains, what it requires, and
# that `glip` and `python -m glip` detect with the small model and find the vocabulary.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/source" "$dir/empty"
git archive HEAD | tar -x -C "$dir/source" 2>/dev/null || cp -r . "$dir/source"
pip wheel -q --no-deps -w "$dir" "$dir/source"
wheel=$(echo "$dir"/glip-*.whl)
pip install -q --no-deps --target "$dir/site" "$wheel"
rm -rf "$dir/source"

cd "$dir/empty"
export PYTHONPATH="$dir/site" HF_HUB_OFFLINE=1 GLIP_HOME="$dir/weights"
python - << 'PY'
import importlib.metadata
from pathlib import Path

import glip
from glip.config import demo_file
from glip.text import load_vocabulary
from glip.text.tokenizer import load_tokenizer

assert "site" in glip.__file__, glip.__file__
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
print(demo_file("shapes.jpg"))
PY

prompt='red star . green triangle . purple square .'
image="$dir/site/glip/.mim/demo/shapes.jpg"
"$dir/site/bin/glip" detect "$image" --texts "$prompt" --score-thr 0.6 --device cpu --out-dir command
python -m glip detect "$image" --texts "$prompt" --score-thr 0.6 --device cpu --out-dir module
for out in command module; do
    python "$OLDPWD/.ci/check_outputs.py" "$out"
done
python -m glip info glip_nano_shapes > info.txt
grep -q "glip_nano_shapes" info.txt

# Without mmcv, one sentence says what to install.
mkdir "$dir/no_mmcv"
cat > "$dir/no_mmcv/sitecustomize.py" << 'PY'
import importlib.util

_find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *args: None if name == "mmcv" else _find_spec(name, *args)
PY
if PYTHONPATH="$dir/no_mmcv:$PYTHONPATH" python -m glip detect "$image" --texts a 2> error.txt; then
    echo "expected an error without mmcv"
    exit 1
fi
[ "$(wc -l < error.txt)" -eq 1 ] && grep -q "pip install mmcv-lite" error.txt || { cat error.txt; exit 1; }

echo "the wheel is complete: $(du -h "$wheel" | cut -f 1)"
