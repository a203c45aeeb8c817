#!/usr/bin/env bash
# kaggle 2.2.5: `import kaggle` fails after `pip install kaggle`, for six is not among its requirements.
#
# Source: kaggle 2.2.5 from PyPI, kaggle/models/upload_file.py.
# Expected: a package that imports six asks for it.
# Found: it came along with python-dateutil, whose version 4 no longer needs it. The import ends with
# ModuleNotFoundError before any token is looked for, so the command line fails too.
# Way out: pip install kaggle six
# Output seen (Python 3.11, python-dateutil 4.0.0):
#   without six: No module named 'six'
#   with six: imported
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet kaggle==2.2.5 python-dateutil==4.0.0
attempt() {
  HOME="$folder" "$folder/venv/bin/python" - <<'PYTHON'
try:
    from kaggle.models.upload_file import UploadFile
except ModuleNotFoundError as error:
    print(error)
except (Exception, SystemExit) as error:  # asking for a token comes after all imports
    print("imported" if "authenticate" in repr(error).lower() or isinstance(error, SystemExit) else repr(error))
else:
    print("imported")
PYTHON
}
without=$(attempt 2> /dev/null | tail -n 1)
"$folder/venv/bin/pip" install --quiet six
with=$(attempt 2> /dev/null | tail -n 1)
echo "without six: $without"
echo "with six: $with"
[ "$without" = "No module named 'six'" ] && [ "$with" = imported ]
