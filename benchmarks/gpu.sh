#!/usr/bin/env bash
# Measure the graph network on a machine with a GPU, in at most eight minutes, also one without a network.
#
#   benchmarks/gpu.sh [FOLDER]
#
# FOLDER (default: benchmarks_gpu) gets gpu.md, gpu.json and the log. The packages that the machine lacks can be carried as
# wheels in .whl/, the databases in .gpu_data/; RELSELECT_DATA names another place. CONFIGURATIONS=1 measures configurations
# of the network instead, in GPU_SECONDS seconds with GPU_JOBS processes.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:-benchmarks_gpu}
mkdir -p "$out"
if ls .whl/*.whl >/dev/null 2>&1; then
  python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "${TMPDIR:-/tmp}/site" .whl/*.whl
  export PYTHONPATH="${TMPDIR:-/tmp}/site:$PWD${PYTHONPATH:+:$PYTHONPATH}"
else
  export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
fi
export RELSELECT_DATA=${RELSELECT_DATA:-$PWD/.gpu_data} PYTHONUNBUFFERED=1 OMP_WAIT_POLICY=PASSIVE
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader || true
if [ -n "${CONFIGURATIONS:-}" ]; then
  # shellcheck disable=SC2086
  OMP_NUM_THREADS=1 python3 benchmarks/network_variants.py --jobs "${GPU_JOBS:-8}" --seconds "${GPU_SECONDS:-240}" \
    --out "$out/network_variants" ${GPU_OPTIONS:-} 2>&1 | tee "$out/log.txt"
else
  # shellcheck disable=SC2086
  python3 benchmarks/gpu.py --seconds "${GPU_SECONDS:-420}" --out "$out/gpu" ${GPU_OPTIONS:-} 2>&1 | tee "$out/log.txt"
fi
