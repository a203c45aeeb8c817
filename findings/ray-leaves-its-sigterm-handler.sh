#!/usr/bin/env bash
# ray 2.60.0: ray.shutdown() leaves ray's handler of SIGTERM and its environment variables in the caller's process.
#
# Source: ray from PyPI, ray/_private/worker.py, which sets a handler of SIGTERM and some variables in ray.init().
# Expected: after ray.shutdown() the process is as it was before ray.init(), so that a program that handles SIGTERM after
# its work with Ray, or has set a handler before, finds its own.
# Found: the handler that the program had set is gone for good, and variables such as PYTHONBREAKPOINT, which decides what
# breakpoint() opens, are set for all that the process starts later.
# Way out: note signal.getsignal(SIGTERM) and os.environ before ray.init(), and put them back after ray.shutdown().
# Output seen (Python 3.11):
#   handler: ours before, sigterm_handler of ray._private.worker after
#   new variables: PYTHONBREAKPOINT
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ray==2.60.0
cat > "$folder/caller.py" <<'PYTHON'
import os
import signal

import ray


def ours(number, frame):
    raise SystemExit(0)


signal.signal(signal.SIGTERM, ours)
before = set(os.environ)
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="CRITICAL")
ray.shutdown()
after = signal.getsignal(signal.SIGTERM)
print(f"handler: ours before, {after.__name__} of {after.__module__} after")
print("new variables:", *sorted({"PYTHONBREAKPOINT"} & (set(os.environ) - before)))
PYTHON
found=$("$folder/venv/bin/python" "$folder/caller.py" 2> /dev/null)
echo "$found"
[ "$found" = "handler: ours before, sigterm_handler of ray._private.worker after
new variables: PYTHONBREAKPOINT" ]
