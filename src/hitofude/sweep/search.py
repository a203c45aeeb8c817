"""The recipes that a sweep tries: a grid, a random sample, or proposals of a tree-structured Parzen estimator (TPE).

A round depends on the spec and on the accuracies of the rounds before, in order, and on nothing else: not on the
workers, on their number, or on which of them finished first.
"""

import itertools
import logging
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from hitofude.borrowed import loggers_at
from hitofude.errors import RecipeError, install_command
from hitofude.sweep.spec import Choices, Range, Settings, SweepSpec

DIGITS = 4
"""Significant digits of a drawn number, so that people can read and write it."""

DRAWS_PER_RECIPE = 50
"""A random search that has drawn this often, times its trials, has found every different recipe."""

MOST_STARTUP_TRIALS = 10
"""TPE draws the first third of its recipes at random, but no more than these."""


def next_round(spec: SweepSpec, tried: Sequence[tuple[Settings, float]]) -> list[Settings]:
    """Return the settings of each recipe of the next round that differ from the base; none after the last round.

    tried: all recipes so far and their accuracies, in order. A grid and a random sample have one round.
    Raise RecipeError if TPE is wanted and Optuna is missing.
    """
    if spec.search == "tpe":
        return _propose(spec, tried)
    if tried:
        return []
    return _sample(spec) if spec.search == "random" else _grid(spec)


def recipes_to_check(spec: SweepSpec) -> list[Settings]:
    """Return the recipes to check before any training: all that are known already.

    For TPE they hold every choice and both ends of every range. Raise RecipeError if it needs Optuna, which is missing.
    """
    if spec.search != "tpe":
        return next_round(spec, [])
    _import_optuna()
    values = {name: _values(varied) for name, varied in spec.vary.items()}
    count = max(map(len, values.values()))
    return [{name: found[index % len(found)] for name, found in values.items()} for index in range(count)]


def version_of_optuna(spec: SweepSpec) -> str | None:
    """Return the version of the package that proposes recipes; None if the search needs none."""
    return str(_import_optuna().__version__) if spec.search == "tpe" else None


def _grid(spec: SweepSpec) -> list[Settings]:
    return [
        dict(zip(spec.vary, values, strict=True)) for values in itertools.product(*map(_values, spec.vary.values()))
    ]


def _values(varied: Range | Choices) -> Sequence[Any]:
    return [varied.lowest, varied.highest] if isinstance(varied, Range) else varied


def _sample(spec: SweepSpec) -> list[Settings]:
    """Return different recipes, or all there are if those are fewer."""
    generator = np.random.default_rng(spec.search_seed)
    found: list[Settings] = []
    for _ in range(DRAWS_PER_RECIPE * spec.trials):
        drawn = {name: _draw(varied, generator) for name, varied in spec.vary.items()}
        if drawn not in found:
            found.append(drawn)
        if len(found) == spec.trials:
            break
    return found


def _draw(varied: Range | Choices, generator: np.random.Generator) -> Any:
    if not isinstance(varied, Range):
        return varied[int(generator.integers(len(varied)))]
    share, low, high = generator.random(), varied.lowest, varied.highest
    if varied.is_whole:  # so that the two ends are as likely as the numbers between them
        low, high = low - 0.5, high + 0.5
    return _rounded(varied, low * (high / low) ** share if varied.log else low + (high - low) * share)


def _rounded(varied: Range, number: float) -> int | float:
    """Round to a whole number or to DIGITS, within the range."""
    if varied.is_whole:
        return min(max(round(number), varied.lowest), varied.highest)
    return min(max(float(f"{number:.{DIGITS}g}"), float(varied.lowest)), float(varied.highest))


def _propose(spec: SweepSpec, tried: Sequence[tuple[Settings, float]]) -> list[Settings]:
    """Ask Optuna's TPE (J. Bergstra et al. 2011) for a batch of recipes.

    A fresh study with a seed of its own is told all accuracies so far: a study that goes on would propose other recipes
    after an interruption, because its sampler's random state is not stored. The recipes of a batch are proposed without
    each other's accuracies; so that they differ, each counts as bad while the next is chosen (`constant_liar`).
    """
    count = min(spec.batch, spec.trials - len(tried))
    if count <= 0:
        return []
    optuna = _import_optuna()
    with loggers_at(logging.WARNING, [optuna.__name__]):
        return _ask(optuna, spec, tried, count)


def _ask(optuna: Any, spec: SweepSpec, tried: Sequence[tuple[Settings, float]], count: int) -> list[Settings]:
    """Tell a fresh study all accuracies so far, and return as many settings as `count`."""
    distributions = {name: _distribution(optuna, varied) for name, varied in spec.vary.items()}
    seed = int(np.random.SeedSequence([spec.search_seed, len(tried)]).generate_state(1)[0])
    startup = min(MOST_STARTUP_TRIALS, math.ceil(spec.trials / 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True, n_startup_trials=startup)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for settings, accuracy in tried:
        params = {  # choices are known to Optuna by their index: they may be lists
            name: value if isinstance(varied := spec.vary[name], Range) else varied.index(value)
            for name, value in settings.items()
        }
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=accuracy))
    proposed = [study.ask(distributions).params for _ in range(count)]
    return [
        {
            name: _rounded(varied, value) if isinstance(varied := spec.vary[name], Range) else varied[value]
            for name, value in params.items()
        }
        for params in proposed
    ]


def _distribution(optuna: Any, varied: Range | Choices) -> Any:
    if not isinstance(varied, Range):
        return optuna.distributions.CategoricalDistribution(range(len(varied)))
    kind = optuna.distributions.IntDistribution if varied.is_whole else optuna.distributions.FloatDistribution
    return kind(varied.lowest, varied.highest, log=varied.log)


def _import_optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise RecipeError(
            f'search = "tpe" needs Optuna: {install_command("sweep")}. Or use search = "random".'
        ) from None
    return optuna
