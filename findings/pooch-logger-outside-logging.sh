#!/usr/bin/env bash
# pooch 1.9.0: neither logging.getLogger("pooch") nor, once it was used, the level of pooch's logger silences it.
#
# Source: pooch 1.9.0 from PyPI, pooch/utils.py, which makes a logging.Logger of its own without registering it.
# Expected: a program that raises the level of the logger "pooch", as it does for other packages, silences pooch.
# Found: that is another logger. And pooch.get_logger().setLevel(...) works only before the first message: a logger keeps in a
# cache for which levels it is enabled, and setLevel clears the caches of registered loggers alone.
# Way out: a filter, by pooch.get_logger().addFilter(...)
# Output seen (Python 3.11), messages of a download:
#   the same logger: False
#   logging.getLogger("pooch") at CRITICAL: 1
#   pooch.get_logger() at CRITICAL: 1
#   with a filter: 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pooch==1.9.0
cat > "$folder/fetch.py" <<'PYTHON'
import http.server
import io
import logging
import tempfile
import threading

import pooch

with open("data.txt", "w") as file:
    file.write("data")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def messages() -> int:
    """Fetch the file anew, and count pooch's lines."""
    written = io.StringIO()
    handler = pooch.get_logger().handlers[0]
    handler.setStream(written)
    with tempfile.TemporaryDirectory() as cache:
        pooch.retrieve(f"http://127.0.0.1:{server.server_port}/data.txt", known_hash=KNOWN, path=cache)
    return written.getvalue().count("Downloading")


KNOWN = pooch.file_hash("data.txt")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("the same logger:", pooch.get_logger() is logging.getLogger("pooch"))
logging.getLogger("pooch").setLevel(logging.CRITICAL)
print('logging.getLogger("pooch") at CRITICAL:', messages())
pooch.get_logger().setLevel(logging.CRITICAL)
print("pooch.get_logger() at CRITICAL:", messages())
pooch.get_logger().addFilter(lambda record: False)
print("with a filter:", messages())
PYTHON
cd "$folder"
found=$(env -u http_proxy -u HTTP_PROXY "$folder/venv/bin/python" fetch.py)
echo "$found"
[ "$found" = 'the same logger: False
logging.getLogger("pooch") at CRITICAL: 1
pooch.get_logger() at CRITICAL: 1
with a filter: 0' ]
