#!/usr/bin/env bash
# scikit-learn 1.9.1: one check of check_estimator passes the name of a constructor's **parameters as if it were a keyword.
#
# Source: scikit-learn 1.9.1 from PyPI, sklearn/utils/estimator_checks.py,
# check_do_not_raise_errors_in_init_or_set_params, which takes all names of the signature.
# Expected: **settings are left out there, as in get_params, clone and check_parameters_default_constructible.
# Found: the estimator is built with settings=-1. One that takes any `stage__setting`, as skorch's do, and refuses other names
# in its constructor as Python itself would, fails the check.
# Way out: keep unknown names, and refuse them in fit.
# Output seen (Python 3.11):
#   get_params: a
#   check_parameters_default_constructible: passed
#   check_do_not_raise_errors_in_init_or_set_params: unexpected keyword argument 'settings'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-learn==1.9.1
cat > "$folder/estimator.py" <<'PYTHON'
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import estimator_checks


class Composed(ClassifierMixin, BaseEstimator):
    """Takes single settings by names with two underscores."""

    def __init__(self, a=1, **settings):
        self.a = a
        for name, value in settings.items():
            if "__" not in name:
                raise TypeError(f"unexpected keyword argument '{name}'")
            setattr(self, name, value)


print("get_params:", *Composed().get_params())
for name in ("check_parameters_default_constructible", "check_do_not_raise_errors_in_init_or_set_params"):
    try:
        getattr(estimator_checks, name)("Composed", Composed())
        print(f"{name}: passed")
    except Exception as error:
        print(f"{name}: {error.__cause__ or error}")
PYTHON
found=$("$folder/venv/bin/python" "$folder/estimator.py")
echo "$found"
[ "$found" = "get_params: a
check_parameters_default_constructible: passed
check_do_not_raise_errors_in_init_or_set_params: unexpected keyword argument 'settings'" ]
