"""The recipe: all settings of a run, validated and frozen, saved as one TOML file.

One class per stage. Defaults are written only here; a preset is a TOML file with the settings that differ.
"""

import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from hitofude.errors import RecipeError, suggest
from hitofude.stage import FORMER_NAMES, Stage, TomlFile, flat

DEFAULT_PRESET = "fast"
PRESETS = Path(__file__).with_name("recipes")
FRONTIER = PRESETS / "frontier.toml"
"""The recipes that a time limit chooses among; see hitofude.runs.frontier."""

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]
Metric = Literal["accuracy", "balanced-accuracy", "macro-f1", "log-loss", "auc", "quadratic-kappa"]
"""The names of the metrics; hitofude.metrics.scores computes them."""
PredictBy = Literal["all", "full-data"]

VARIED_STAGES = ("network", "augment", "optimizer", "schedule", "ema")
"""The stages in which the members of an ensemble may differ."""

ClassWeights = dict[str, float]
Variant = dict[str, Any]
"""Dotted settings of some members, in place of the recipe's."""


class NetworkRecipe(Stage):
    """The network to train."""

    name: str = "cnn-medium"
    """Its name; `hitofude networks` lists all."""
    margin: CountOrZero | Literal["blank"] = 0
    """The number of outer pixels that the network cuts off on each side; `blank`: as many as are nearly blank in the
    training images, but at most a fourteenth of the side."""

    @property
    def full_name(self) -> str:
        """The name that hitofude.learning.networks builds it by: `vgg-24`, or `vgg-24-margin-2`."""
        return f"{self.name}-margin-{self.margin}" if self.margin else self.name


class AugmentRecipe(Stage):
    """The random transformation of training images, drawn anew in each epoch. The defaults are the tutorial's."""

    probability: Share = 1.0
    """The probability that an image is warped at all, by affine map, crop and elastic displacement."""
    min_scale: Positive = 0.90
    """The smallest scale; those of x and y are drawn separately."""
    max_scale: Positive = 1.10
    """The largest scale; those of x and y are drawn separately."""
    max_rotation: Annotated[float, Field(ge=0, le=180)] = 4.0
    """The largest rotation, in degrees, in either direction."""
    max_shear: Annotated[float, Field(ge=0, lt=90)] = 2.0
    """The largest shear, in degrees, in either direction."""
    max_translation: CountOrZero = 3
    """The largest shift, in whole pixels, in either direction, drawn separately for x and y."""
    about: Literal["center", "origin"] = "center"
    """The fixed point of scale, rotation and shear: the centre of the image or, as in the tutorial, its corner."""
    min_crop: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Crop and resize: the smallest share of height and of width, drawn separately, enlarged to the whole image."""
    elastic_std: NotNegative = 0.0
    """Elastic displacement: the standard deviation, in pixels, at the knots of a coarse grid over the image (after P.
    Simard et al. 2003, ICDAR)."""
    elastic_grid: Annotated[int, Field(ge=2)] = 4
    """The number of knots along each side of the grid of the elastic displacement."""
    erase_probability: Share = 0.0
    """The probability that a random rectangle is blackened (Z. Zhong et al. 2017, arXiv:1708.04896)."""
    erase_max_area: Annotated[float, Field(gt=0, le=0.5)] = 0.15
    """The largest share of the image that an erased rectangle covers."""
    no_aug_epochs: CountOrZero = 0
    """The number of final epochs that train on the images as they are."""
    own: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    """The augmentations of plugins, by the names that they registered, which follow in this order."""

    @field_validator("own")
    @classmethod
    def _none_is_none(cls, own: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return own or None

    @model_validator(mode="after")
    def _scales_in_order(self) -> Self:
        if self.min_scale > self.max_scale:
            raise ValueError(f"min_scale ({self.min_scale}) is above max_scale ({self.max_scale})")
        return self


class OptimizerRecipe(Stage):
    """The loss and its optimizer."""

    name: Literal["adam", "adamw", "sgd", "muon"] = "adam"
    """The optimizer. `sgd` has Nesterov momentum; `muon` (K. Jordan 2024, kellerjordan.github.io/posts/muon) trains the
    convolution filters, and AdamW the other parameters."""
    learning_rate: Positive = 0.001
    """The learning rate, at the peak of the schedule."""
    adamw_learning_rate: Positive = 0.01
    """With `muon`, the peak of the learning rate of AdamW, which trains norms, biases and the last layer."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """The momentum of `sgd` and `muon`."""
    weight_decay: NotNegative = 0.0
    """The decay of the weights at each step, decoupled from the gradient in `adamw` and `muon` (I. Loshchilov & F.
    Hutter 2017, arXiv:1711.05101)."""
    batch_size: Count = 128
    """The number of images in a step."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of each target that is spread over all classes (C. Szegedy et al. 2016, arXiv:1512.00567)."""
    class_weights: Literal["none", "balanced"] | ClassWeights = "none"
    """The weights of the classes in the loss: `balanced` as the inverse of their rows, or a table of class and weight,
    1 for the others. Only their ratios count."""
    sampling: Literal["natural", "balanced"] = "natural"
    """The rows of an epoch: as they are, or `balanced`, which draws equally many of each class, as many in all as there
    are rows."""

    @field_validator("class_weights", mode="before")
    @classmethod
    def _weights_are_above_0(cls, weights: Any) -> Any:
        if weights in ("none", "balanced"):
            return weights
        if not isinstance(weights, Mapping):
            raise ValueError("expected none, balanced, or a table of class and weight such as { three = 1, eight = 5 }")
        for name, weight in weights.items():
            if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 < weight < math.inf:
                raise ValueError(f"the weight of '{name}' is {weight!r}, expected a number above 0")
        return {str(name): float(weight) for name, weight in weights.items()}


class ScheduleRecipe(Stage):
    """The length of the training and its learning rate over time."""

    name: Literal["constant", "step", "one-cycle", "cosine"] = "constant"
    """The learning rate over time. After a warm-up, `one-cycle` falls linearly (L. Smith & N. Topin 2017,
    arXiv:1708.07120) and `cosine` along half a wave, both to zero."""
    epochs: Count = 20
    """The number of epochs, of which the first and those without augmentation show all images; see epoch_share."""
    min_steps: CountOrZero = 0
    """If there are few rows, epochs are added until the training has this many steps. It is 0 if schedule.epochs is
    set by you and this is not."""
    epoch_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The share of a member's images that an epoch shows, half of them those of which the network was least sure when
    it last saw them; see hitofude.learning.selection. The first epoch and those without augmentation show all. With
    balanced sampling, none is preferred."""
    milestones: tuple[Count, ...] = Field(default=(), strict=False)
    """With `step`, the epochs after which the learning rate is multiplied by gamma."""
    gamma: Positive = 0.1
    """With `step`, the factor of the learning rate after each milestone."""
    warmup: Share = 0.2
    """With `one-cycle` and `cosine`, the share of the steps in which the learning rate rises."""
    validation_rows: Count | None = None
    """The number of held-out rows, a seeded sample, that each epoch is validated on; out-of-fold predictions are of
    all."""


class EmaRecipe(Stage):
    """An exponential moving average of the weights, which replaces them in validation and prediction."""

    decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of the average kept at each step, less in the first steps; 0 turns averaging off (B. Polyak & A.
    Juditsky 1992)."""
    batch_norm: Literal["averaged", "recomputed"] = "averaged"
    """The batch-norm statistics: averaged like the weights, or recomputed at the end on training images."""


class EnsembleRecipe(Stage):
    """The members, and the rows that each trains on and is validated on."""

    split: Literal["folds", "holdout"] = "folds"
    """Stratified folds with one member each, or a single member with one plain random split."""
    folds: Annotated[int, Field(ge=2)] = 5
    """The number of folds; each member learns from all but one."""
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """The share of the rows held out by `split = "holdout"`."""
    repeats: Count = 1
    """The number of times that all folds are trained."""
    resplit: bool = True
    """Whether each repeat has a split of its own. If not, as always if members teach others, all have that of the
    first, and as many members hold out each row as there are repeats, such as to teach another network (`hitofude
    distill`)."""
    group_copies: bool = True
    """Whether copies of an image, identical or nearly so, are held out together, so that no member trains on a copy of
    what it holds out."""
    full_data_members: CountOrZero = 0
    """The number of additional members that train on all rows; they predict, but have no out-of-fold rows."""
    predict_by: PredictBy = "all"
    """The members that predict other images: all, or the full-data members alone, so that the others only show how
    accurate such a network is."""
    variants: tuple[Variant, ...] = Field(default=(), strict=False)
    """The settings of the repeats and full-data members, in turn, in place of the recipe's: a list of tables such as
    `[{}, { "augment.elastic_std" = 0.8, "schedule.epochs" = 16 }]`, of the stages in VARIED_STAGES."""
    pseudo_labels: Literal["none", "hard", "soft"] = "none"
    """Whether the members of later repeats also learn from the images to predict, labelled by the members of earlier
    repeats that hold out the same fold, and members on all rows by those of all repeats; so no held-out label reaches a
    member. `hard`: by the most probable class (D.-H. Lee 2013, Pseudo-Label, ICML workshop); `soft`: by the
    probabilities (Q. Xie et al. 2020, arXiv:1911.04252)."""
    soft_labels: bool = False
    """Whether the members of later repeats, and those on all rows, learn the same members' probabilities of the
    training images in place of the labels (T. Furlanello et al. 2018, arXiv:1805.04770)."""
    teaching_repeats: Count = 1
    """The number of repeats, from the first, whose members learn from labels alone; with pseudo_labels or soft_labels,
    those of later repeats are taught."""
    most_changed: Share = 0.0001
    """Members are asked one after another, and an image that is clear to those asked so far is answered by their mean.
    This changes at most this share of all labels, by the rows held out. 0 asks all members about every image, as do
    metrics of probabilities."""

    @model_validator(mode="before")
    @classmethod
    def _read_former_networks(cls, values: Any) -> Any:
        return cls._translate(dict(values)) if isinstance(values, Mapping) else values

    @field_validator("variants", mode="before")
    @classmethod
    def _check_variants(cls, variants: Any) -> tuple[Variant, ...]:
        if not isinstance(variants, list | tuple) or not all(isinstance(one, Mapping) for one in variants):
            raise ValueError('expected a list of tables of settings, such as [{}, { "schedule.epochs" = 16 }]')
        found = [flat(one) for one in variants]
        for number, name, value in ((number, *item) for number, one in enumerate(found, 1) for item in one.items()):
            if name.partition(".")[0] not in VARIED_STAGES:
                raise ValueError(f"variant {number} sets '{name}'; a variant may set {', '.join(VARIED_STAGES)} only")
            if value is None:
                raise ValueError(f"variant {number} gives '{name}' no value; leave it out for the recipe's")
        return tuple(
            {name: list(value) if isinstance(value, tuple) else value for name, value in one.items()} for one in found
        )

    @model_validator(mode="after")
    def _some_member_predicts(self) -> Self:
        if self.predict_by == "full-data" and not self.full_data_members:
            raise ValueError('predict_by = "full-data" needs full_data_members of 1 or more')
        return self

    @classmethod
    def _translate(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Read `networks`, one for each variant, as earlier versions wrote them."""
        if "networks" not in values:
            return values
        networks = values.pop("networks")
        if not isinstance(networks, list | tuple) or (networks and values.get("variants")):
            raise ValueError("`networks` is an earlier version's form of `variants`; give only `variants`")
        return values | ({"variants": tuple({"network.name": name} for name in networks)} if networks else {})


class TtaRecipe(Stage):
    """Test-time augmentation: the mean of the probabilities of an image and its shifted copies."""

    shift: CountOrZero = 0
    """The shift, in pixels, of the copies in the four directions; 0 turns it off."""
    threshold: Share = 1.0
    """The highest probability below which an image is predicted again; 1 for all images."""


ViewsRecipe, AveragingRecipe = TtaRecipe, EmaRecipe  # the names in pickled estimators of earlier versions


class Recipe(TomlFile):
    """All settings of a run."""

    noun = "recipe"

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """The seed of every random draw: folds, weights, order and augmentation."""
    metric: Metric = "accuracy"
    """The metric that the run is judged by. It changes no network, only the headline and the kind of the submission."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """The arithmetic. `auto`: bfloat16 if the device has native support for it, else float32."""
    rows: Annotated[int, Field(ge=2)] | None = None
    """The number of rows to train on, a seeded sample as balanced over the classes as possible; by default all."""
    chosen_for: str | None = None
    """The time limit that hitofude chose these settings for, such as 10m; it changes nothing."""
    network: NetworkRecipe = NetworkRecipe()
    augment: AugmentRecipe = AugmentRecipe()
    optimizer: OptimizerRecipe = OptimizerRecipe()
    schedule: ScheduleRecipe = ScheduleRecipe()
    ema: EmaRecipe = EmaRecipe()
    ensemble: EnsembleRecipe = EnsembleRecipe()
    tta: TtaRecipe = TtaRecipe()

    @classmethod
    def preset(cls, name: str) -> Self:
        """Read a preset by name. Raises RecipeError if it does not exist."""
        if name not in preset_names():
            raise RecipeError(f"There is no preset '{name}'.{suggest(name, preset_names())}")
        return cls.from_toml((PRESETS / f"{name}.toml").read_text(encoding="utf-8"), name)

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """Return a copy with settings replaced, by dotted name: `{"schedule.epochs": 3}`.

        Raises RecipeError for an unknown name, an invalid value, or settings that contradict each other.
        """
        content = self.model_dump()
        for name, value in settings.items():
            *stages, key = name.split(".")
            stage: Any = content
            for part in stages:
                stage = stage.get(part) if isinstance(stage, dict) else None
            if not isinstance(stage, dict) or key not in stage:
                raise RecipeError(f"There is no setting '{name}'.{_suggest_setting(name, value)}")
            if name in Recipe.model_fields and isinstance(stage[key], dict) and not isinstance(value, Mapping | Stage):
                raise RecipeError(f"'{name}' is a table of settings.{_suggest_within(name, list(stage[key]), value)}")
            stage[key] = value
        if "ensemble.variants" not in settings:
            self._check_no_variant_sets(settings)
        return self._validated(content, "The settings")

    def variant(self, turn: int) -> Self:
        """Return the recipe of the members of a turn, without variants of its own.

        turn: from 0, of the repeats and then of the full-data members; the variants are used again after the last.
        """
        variants = self.ensemble.variants
        return self if not variants else self.with_settings({"ensemble.variants": (), **variants[turn % len(variants)]})

    def in_turn(self) -> list[Self]:
        """Return the recipes that the members take in turn: its variants, or the recipe itself if it has none."""
        return [self.variant(turn) for turn in range(len(self.ensemble.variants))] or [self]

    @model_validator(mode="after")
    def _check_each_variant(self) -> Self:
        for turn in range(len(self.ensemble.variants)):
            try:
                self.variant(turn)
            except RecipeError as error:
                problem = str(error).removeprefix("The settings cannot be used:\n  ")
                raise ValueError(f"variant {turn + 1} of ensemble.variants: {problem}") from None
        return self

    def _check_no_variant_sets(self, settings: Iterable[str]) -> None:
        """Raise RecipeError if a variant has another value for one of these settings of all members."""
        for name in settings:
            values = [str(one[name]) for one in self.ensemble.variants if name in one]
            if values:
                raise RecipeError(
                    f"{name} contradicts ensemble.variants, where it is {', '.join(values)} for some members. "
                    "Set it there, or use the same settings for all members, --set ensemble.variants=[]"
                )

    def for_debugging(self) -> Self:
        """Return the tutorial's debug variant: 1,000 rows, 5 epochs of all of them, 2 folds, and batches of at most 32.

        Its members have the first variant's settings.
        """
        epochs, first = 5, self.variant(0)
        return first.with_settings(
            {
                "rows": 1000,
                "optimizer.batch_size": min(first.optimizer.batch_size, 32),
                "schedule.epochs": epochs,
                "schedule.epoch_share": 1.0,
                "schedule.milestones": tuple(end for end in first.schedule.milestones if end < epochs),
                "schedule.min_steps": 0,
                "ensemble.folds": 2,
                "ensemble.repeats": 1,
                "ensemble.full_data_members": 0,
                "ensemble.predict_by": "all",
                "ensemble.pseudo_labels": "none",
                "ensemble.soft_labels": False,
            }
        )

    @classmethod
    def _explain_unknown(cls, name: str) -> str:
        return f"there is no such setting.{_suggest_setting(name)}"


def choose_recipe(
    preset: str | Path = DEFAULT_PRESET, settings: Mapping[str, Any] | None = None, *, debug: bool = False
) -> Recipe:
    """Return a preset or recipe file (.toml), reduced if debugging, with some settings replaced.

    A number of epochs among the settings is the number that is trained: see as_asked.
    """
    recipe = Recipe.load(Path(preset)) if str(preset).endswith(".toml") else Recipe.preset(str(preset))
    return (recipe.for_debugging() if debug else recipe).with_settings(as_asked(settings or {}))


def as_asked(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return settings in which a number of epochs that is asked for is not raised by the preset's min_steps."""
    names = flat(settings) if isinstance(settings, Mapping) else settings
    if "schedule.epochs" not in names or "schedule.min_steps" in names:
        return settings
    return {**names, "schedule.min_steps": 0}


def preset_names() -> list[str]:
    return sorted(path.stem for path in PRESETS.glob("*.toml") if path != FRONTIER)


def _suggest_setting(name: str, value: Any = None) -> str:
    """Return the new form of a setting or stage of earlier versions, else the nearest known setting.

    value: asked for, if it is known.
    """
    if name == "ensemble.networks":
        names = value if isinstance(value, list | tuple) and value else ["resnet", "senet"]
        tables = ", ".join(f'{{"network.name" = "{network}"}}' for network in names)
        return f" Networks are variants now: --set 'ensemble.variants=[{tables}]'"
    known = [*flat(Recipe().model_dump()), *Recipe.model_fields]
    renamed = ".".join(FORMER_NAMES.get(part, part) for part in name.split("."))
    return f" It is called '{renamed}' now." if renamed != name and renamed in known else suggest_setting(name, known)


def suggest_setting(name: str, known: list[str], *, otherwise: str | None = None) -> str:
    """Return the nearest known setting as `suggest` does, also by its last part, or a word of it: elastik."""
    last_parts = {one.rpartition(".")[2]: one for one in reversed(known)}
    words = {word: one for part, one in last_parts.items() for word in part.split("_")}
    forms = words | last_parts | {one: one for one in known}
    nearest = get_close_matches(name.lower(), forms, n=1)
    return f" Did you mean '{forms[nearest[0]]}'?" if nearest else suggest(name, known, otherwise=otherwise)


def _suggest_within(stage: str, keys: list[str], value: Any) -> str:
    """Return the setting that a plain value given for a stage may have been meant for: its name, or one of all."""
    if "name" in keys:
        return f" Did you mean {stage}.name={value}?"
    return f" Set one of them: {', '.join(f'{stage}.{key}' for key in keys)}."
