#!/usr/bin/env bash
# distributed 2026.8.0: a LocalCluster leaves OMP_NUM_THREADS=1 in the process that started it.
#
# Source: distributed from PyPI, distributed/nanny.py, which writes distributed.nanny.pre-spawn-environ into os.environ
# before it starts a worker process.
# Expected: variables for the workers are set for the workers, or put back when the cluster is closed.
# Found: OMP_NUM_THREADS, MKL_NUM_THREADS, OPENBLAS_NUM_THREADS (1) and MALLOC_TRIM_THRESHOLD_ stay in the caller's environment.
# Programs that the caller starts later, and libraries that it loads later, compute with one thread.
# Way out: keep a copy of os.environ, and put it back after the cluster is closed.
# Output seen (Python 3.11):
#   before: none
#   after: MALLOC_TRIM_THRESHOLD_=65536 MKL_NUM_THREADS=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet distributed==2026.8.0 dask==2026.8.0
cat > "$folder/caller.py" <<'PYTHON'
import os

from distributed import LocalCluster

PREFIXES = ("OMP_", "MKL_", "OPENBLAS_", "MALLOC_")


def variables() -> str:
    found = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith(PREFIXES))
    return " ".join(found) or "none"


if __name__ == "__main__":
    print("before:", variables())
    LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0").close()
    print("after:", variables())
PYTHON
found=$(env -u OMP_NUM_THREADS -u MKL_NUM_THREADS -u OPENBLAS_NUM_THREADS -u MALLOC_TRIM_THRESHOLD_ \
  "$folder/venv/bin/python" "$folder/caller.py")
echo "$found"
[ "$found" = "before: none
after: MALLOC_TRIM_THRESHOLD_=65536 MKL_NUM_THREADS=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1" ]
