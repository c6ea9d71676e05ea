#!/usr/bin/env bash
# Centauri beside NumPy and JAX on works A and B: the same tables, the same fields, the same core, in turns.
#
#   bench-harness/rivals/run.sh [--samples N] [--seed N] [--out FILE]
#
# Needs Rust and Python 3.11 or later; numpy and jax come from PyPI into target/rivals. CORE chooses the core.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=bench-harness/rivals
home=target/rivals

seed=1
for ((i = 1; i < $#; i++)); do
    if [[ ${!i} == --seed ]]; then j=$((i + 1)); seed=${!j}; fi
done

if [[ ! -x $home/bin/python ]]; then python3 -m venv "$home"; fi
"$home/bin/pip" install --quiet --disable-pip-version-check --requirement $here/requirements.txt
if [[ -z ${CENTAURI_BENCH:-} ]]; then
    cargo build --quiet --release --locked -p centauri-bench
    CENTAURI_BENCH=target/release/centauri-bench
fi
"$CENTAURI_BENCH" eval --export "$home/tables" --work A --work B --seed "$seed"

# One thread each; the libraries choose their kernels themselves, whatever the environment says of them.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
export PYTHONDONTWRITEBYTECODE=1 JAX_PLATFORMS=cpu XLA_FLAGS=--xla_cpu_multi_thread_eigen=false
pin=()
if command -v taskset >/dev/null; then pin=(taskset --cpu-list "${CORE:-0}"); fi
exec "${pin[@]}" "$home/bin/python" $here/compare.py --bench "$CENTAURI_BENCH" --tables "$home/tables" "$@"
