"""A worker process that does its tasks in steps: `progress`, `save`, `finish`, `fail`, `die`, or another event."""

import os
import signal
import sys

from hitofude.workers.messages import receive, send

EVENTS = {"progress": "batch_finished", "save": "saved", "finish": "finished"}


def main() -> None:
    while (request := receive(sys.stdin.buffer)) is not None:
        message, content = request
        for step in message["steps"]:
            if step == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if step == "fail":
                failed = {"event": "failed", "kind": message["kind"], "message": "no luck", "places": []}
                send(sys.stdout.buffer, failed)
                sys.exit(1)
            send(sys.stdout.buffer, {"event": EVENTS.get(step, step), "process": os.getpid()}, content)


if __name__ == "__main__":
    main()
