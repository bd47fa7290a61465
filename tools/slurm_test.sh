#!/usr/bin/env bash
# Evaluate under Slurm.
#   GPUS=8 bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]
set -euo pipefail
usage="usage: slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options]"
partition=${1:?$usage}
job_name=${2:?$usage}
config=${3:?$usage}
checkpoint=${4:?$usage}
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
    python -u "$(dirname "$0")/test.py" "$config" "$checkpoint" --launcher slurm "${@:5}"
