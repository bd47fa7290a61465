#!/usr/bin/env bash
# Evaluate on several GPUs of one machine, or on several machines (NNODES, NODE_RANK, MASTER_ADDR).
#   bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]
set -euo pipefail
config=${1:?usage: dist_test.sh CONFIG CHECKPOINT GPUS [options]}
checkpoint=${2:?usage: dist_test.sh CONFIG CHECKPOINT GPUS [options]}
gpus=${3:?usage: dist_test.sh CONFIG CHECKPOINT GPUS [options]}

torchrun \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$gpus" \
    "$(dirname "$0")/test.py" "$config" "$checkpoint" --launcher pytorch "${@:4}"
