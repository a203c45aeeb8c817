"""Which recipes a sweep makes next: all of a grid, a random sample, or what earlier ones speak for.

Each round is a function of the spec and of the accuracies so far, in the order in which they were asked for, and of
nothing else: not of the workers, of their number, or of who was ready first.
"""

import itertools
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from hitofude.errors import RecipeError
from hitofude.sweep.spec import Choices, Range, Settings, SweepSpec

DIGITS = 4
"""So many that matter are kept of a number that was drawn, so that people can read and write it."""

TRIES_A_RECIPE = 50
"""Before a random search takes it that it has drawn all recipes that there are."""

MOST_RANDOM_TRIALS = 10
"""A guided search begins with a third of its recipes drawn at random, and with no more than these."""


def first_round(spec: SweepSpec) -> list[Settings]:
    """What differs from the base in each recipe of the first round; it is the only one unless the search is guided."""
    match spec.search:
        case "grid":
            return _grid(spec)
        case "random":
            return _sample(spec)
        case "guided":
            return next_tpe(spec, [])


def outermost(spec: SweepSpec) -> list[Settings]:
    """Recipes in which every choice and both ends of every range stand, to see whether they can be at all."""
    values = {name: _ends(varied) for name, varied in spec.vary.items()}
    count = max(map(len, values.values()), default=1)
    return [{name: found[place % len(found)] for name, found in values.items()} for place in range(count)]


def next_tpe(spec: SweepSpec, answered: Sequence[tuple[Settings, float]]) -> list[Settings]:
    """The next recipes by the tree-structured Parzen estimator (J. Bergstra et al. 2011), as Optuna has it.

    answered: all that were asked for, with their accuracies. Those of one round are asked for without knowing of each
    other's outcome; so that they differ, each is taken for bad while the next is chosen (`constant_liar`).

    Raises RecipeError where Optuna is missing.
    """
    count = min(spec.batch, spec.trials - len(answered))
    if count <= 0:
        return []
    optuna = _import_optuna()
    distributions = {name: _distribution(optuna, varied) for name, varied in spec.vary.items()}
    seed = int(np.random.SeedSequence([spec.search_seed, len(answered)]).generate_state(1)[0])
    startup = min(MOST_RANDOM_TRIALS, math.ceil(spec.trials / 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True, n_startup_trials=startup)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for settings, accuracy in answered:
        params = {name: _to_optuna(spec.vary[name], value) for name, value in settings.items()}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=accuracy))
    asked = [study.ask(distributions).params for _ in range(count)]
    return [{name: _from_optuna(spec.vary[name], value) for name, value in params.items()} for params in asked]


def check_tpe() -> None:
    """Raises RecipeError where Optuna is missing."""
    _import_optuna()


def _grid(spec: SweepSpec) -> list[Settings]:
    names = list(spec.vary)
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*map(_ends, spec.vary.values()))]


def _ends(varied: Range | Choices) -> Sequence[Any]:
    return [varied.lowest, varied.highest] if isinstance(varied, Range) else varied


def _sample(spec: SweepSpec) -> list[Settings]:
    """Different recipes, or all that there are where those are fewer."""
    generator = np.random.default_rng(spec.search_seed)
    found: list[Settings] = []
    for _ in range(TRIES_A_RECIPE * spec.trials):
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
    if varied.is_whole:  # each whole number has the room of half a step to either side
        low, high = low - 0.5, high + 0.5
    number = low * (high / low) ** share if varied.log else low + (high - low) * share
    return _within(varied, number)


def _within(varied: Range, number: float) -> int | float:
    """As people write it, and not beyond the range."""
    if varied.is_whole:
        return min(max(round(number), varied.lowest), varied.highest)
    return min(max(float(f"{number:.{DIGITS}g}"), float(varied.lowest)), float(varied.highest))


def _import_optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise RecipeError(
            'search = "guided" needs Optuna: pip install \'hitofude[sweep]\'. Or use search = "random".'
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _distribution(optuna: Any, varied: Range | Choices) -> Any:
    if not isinstance(varied, Range):
        return optuna.distributions.CategoricalDistribution(range(len(varied)))
    kind = optuna.distributions.IntDistribution if varied.is_whole else optuna.distributions.FloatDistribution
    return kind(varied.lowest, varied.highest, log=varied.log)


def _to_optuna(varied: Range | Choices, value: Any) -> Any:
    """Choices are told by their place: they may be lists."""
    return value if isinstance(varied, Range) else varied.index(value)


def _from_optuna(varied: Range | Choices, value: Any) -> Any:
    return _within(varied, value) if isinstance(varied, Range) else varied[value]
