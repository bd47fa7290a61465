#!/usr/bin/env bash
# Check that a built wheel contains the configs and vocabularies, and does not require mmcv.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
git archive HEAD | tar -x -C "$dir" 2>/dev/null || cp -r . "$dir"
(cd "$dir" && pip wheel -q --no-deps -w "$dir/wheel" .)
pip install -q --no-deps --target "$dir/site" "$dir"/wheel/glip-*.whl
cd "$dir/site"
PYTHONPATH="$dir/site" python - <<'EOF'
import importlib.metadata

import glip
from glip.text import load_vocabulary

assert "site" in glip.__file__, glip.__file__
name = "glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365"
assert glip.get_config(name).model.type == "GLIP"
assert len(load_vocabulary("lvis")) == 1203
needs = [r for r in importlib.metadata.requires("glip") if "extra" not in r]
assert not any("mmcv" in r for r in needs), needs
print("the wheel is complete")
EOF
