#!/usr/bin/env bash
# Train under Slurm.
#   GPUS=16 bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [options of tools/train.py]
set -euo pipefail
usage="usage: slurm_train.sh PARTITION JOB_NAME CONFIG [options]"
partition=${1:?$usage}
job_name=${2:?$usage}
config=${3:?$usage}
gpus=${GPUS:-8}
gpus_per_node=${GPUS_PER_NODE:-8}

# shellcheck disable=SC2086 -- SRUN_ARGS may hold several options
srun -p "$partition" \
    --job-name="$job_name" \
    --gres=gpu:"$gpus_per_node" \
    --ntasks="$gpus" \
    --ntasks-per-node="$gpus_per_node" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    python -u "$(dirname "$0")/train.py" "$config" --launcher slurm "${@:4}"
