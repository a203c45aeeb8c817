"""A worker process that does what it is told: `finish`, `keep`, `fail`, `die`."""

import os
import signal
import sys

from hitofude.workers.messages import receive, send


def main() -> None:
    while (request := receive(sys.stdin.buffer)) is not None:
        message, content = request
        for step in message["steps"]:
            if step == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if step == "fail":
                send(sys.stdout.buffer, {"event": "failed", "kind": message["kind"], "message": "no luck", "nodes": []})
                sys.exit(1)
            event = {"finish": "finished", "keep": "saved", "say": "logged"}[step]
            send(sys.stdout.buffer, {"event": event, "process": os.getpid()}, content)


if __name__ == "__main__":
    main()
