"""The estimator fulfils scikit-learn's contract, and learns digits."""

import pickle
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from hitofude import HitofudeClassifier
from hitofude.inputs.image_set import ImageSet
from hitofude.metrics.whole_ensemble import USUAL_RATIO
from tests.conftest import SMALL
from tests.runs.test_cost import GivenSpeeds
from tests.runs.test_frontier import QUICK_POINT, offer
from tests.test_recipe import as_formerly_pickled

pytestmark = pytest.mark.filterwarnings("ignore:A member makes", "ignore:augment.no_aug_epochs")
pytestmark = pytest.mark.filterwarnings("ignore:optimizer.batch_size=.* is more than")

QUICK = SMALL | {"schedule.epochs": 2, "schedule.min_steps": 0, "optimizer.batch_size": 32}
TINY = SMALL | {
    "schedule.epochs": 8,
    "schedule.min_steps": 0,
    "augment.probability": 0.0,
    "optimizer.name": "adam",
    "optimizer.learning_rate": 0.03,
    "tta.shift": 0,
}
DRAWN_BY_ROWS = "folds and batches are drawn of rows, so a row of weight 2 is not held out and drawn as two rows are"
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": DRAWN_BY_ROWS,
    "check_sample_weight_equivalence_on_sparse_data": DRAWN_BY_ROWS,
    "check_methods_sample_order_invariance": "the last bit of a float32 depends on an image's position in its batch, "
    "and the check allows less",
}


def quick(**parameters: object) -> HitofudeClassifier:
    return HitofudeClassifier(settings=QUICK, device="cpu", workers=1, **parameters)


@pytest.fixture(scope="module")
def rows(digits: ImageSet) -> np.ndarray:
    """(100, 784) uint8"""
    return digits.images[:100].reshape(100, -1)


@pytest.fixture(scope="module")
def labels(digits: ImageSet) -> np.ndarray:
    """(100,) int64, 0 to 9"""
    return digits.known_labels()[:100]


@pytest.fixture(scope="module")
def fitted(rows: np.ndarray, labels: np.ndarray) -> HitofudeClassifier:
    return quick().fit(rows, labels)


@pytest.mark.slow
@parametrize_with_checks(
    [HitofudeClassifier(settings=TINY, device="cpu", workers=1)],
    expected_failed_checks=lambda _: EXPECTED_FAILURES,
    xfail_strict=False,
)
def test_scikit_learns_own_checks_pass(estimator: HitofudeClassifier, check: Callable[[object], None]) -> None:
    check(estimator)


def test_a_member_is_shown_in_a_line(fitted: HitofudeClassifier) -> None:
    assert repr(fitted.members_[0]) == "TrainedMember('cnn-lean', 2 epochs, 50 rows held out)"


def test_each_row_is_predicted_by_networks_not_trained_on_it(fitted: HitofudeClassifier) -> None:
    assert len(fitted.members_) == 2
    assert sorted(np.concatenate([member.held_out for member in fitted.members_])) == list(range(100))
    assert fitted.oof_probabilities_.sum(axis=1) == pytest.approx(np.ones(100), abs=1e-5)


def test_probabilities_are_the_mean_of_the_members(fitted: HitofudeClassifier, rows: np.ndarray) -> None:
    """In the rows that one member held out, the out-of-fold probabilities are its own, at their temperature."""
    alone = clone(fitted)
    alone.__dict__.update(fitted.__dict__)
    alone.members_ = fitted.members_[:1]
    alone.temperature_ = fitted.temperature_ / USUAL_RATIO
    held_out = fitted.members_[0].held_out
    assert alone.predict_proba(rows)[held_out] == pytest.approx(fitted.oof_probabilities_[held_out], abs=1e-6)


def test_members_on_all_rows_predict_alone_if_the_recipe_says_so(fitted: HitofudeClassifier, rows: np.ndarray) -> None:
    first, last = fitted.members_
    alone, one = clone(fitted), clone(fitted)
    for changed in (alone, one):
        changed.__dict__.update(fitted.__dict__)
    alone.members_ = [first, replace(last, held_out=last.held_out[:0])]
    alone.recipe_ = fitted.recipe_.with_settings({"ensemble.full_data_members": 1, "ensemble.predict_by": "full-data"})
    one.members_ = [last]
    assert np.array_equal(alone.predict_proba(rows), one.predict_proba(rows))


@pytest.mark.parametrize("kind", ["images", "channels", "floats", "shares", "list", "frame"])
def test_every_form_of_the_same_images_learns_the_same(
    kind: str, fitted: HitofudeClassifier, rows: np.ndarray, labels: np.ndarray
) -> None:
    forms = {
        "images": rows.reshape(-1, 28, 28),
        "channels": rows.reshape(-1, 1, 28, 28),
        "floats": rows.astype(np.float64),
        "shares": rows / np.float32(255),
        "list": rows.tolist(),
        "frame": pd.DataFrame(rows, columns=[f"pixel{i}" for i in range(784)]),
    }
    found = quick().fit(forms[kind], labels)
    assert np.array_equal(found.oof_probabilities_, fitted.oof_probabilities_)
    assert np.array_equal(found.predict_proba(forms[kind][:20]), fitted.predict_proba(rows[:20]))
    assert (found.n_features_in_, found.image_shape_) == (784, (1, 28, 28))


def test_a_frames_columns_are_remembered(rows: np.ndarray, labels: np.ndarray) -> None:
    frame = pd.DataFrame(rows[:60], columns=[f"pixel{i}" for i in range(784)])
    found = quick().fit(frame, pd.Series(labels[:60] % 3, name="label"))
    assert found.feature_names_in_.tolist() == frame.columns.tolist()
    with pytest.raises(ValueError, match="feature names"):
        found.predict(frame[frame.columns[::-1]])


@pytest.mark.parametrize("names", [["ka", "sa", "日"], [-7, 0, 7], [1.0, 2.0], [False, True]])
def test_labels_of_any_type_come_back(names: list[object], rows: np.ndarray, labels: np.ndarray) -> None:
    given = np.array(names)[labels[:60] % len(names)]
    found = quick().fit(rows[:60], given)
    assert found.classes_.dtype == given.dtype
    assert set(found.predict(rows[:60])) <= set(given)


@pytest.mark.parametrize("dump", ["pickle", "joblib"])
def test_a_fit_survives_being_stored(dump: str, fitted: HitofudeClassifier, rows: np.ndarray, tmp_path: Path) -> None:
    if dump == "pickle":
        again = pickle.loads(pickle.dumps(fitted))  # noqa: S301
    else:
        joblib.dump(fitted, tmp_path / "fit.joblib")
        again = joblib.load(tmp_path / "fit.joblib", mmap_mode="r")
    assert np.array_equal(again.predict_proba(rows[:20]), fitted.predict_proba(rows[:20]))
    assert all(isinstance(array, np.ndarray) for member in again.members_ for array in member.weights.values())


def test_a_pickle_of_an_earlier_version_predicts_the_same(fitted: HitofudeClassifier, rows: np.ndarray) -> None:
    """Earlier versions had other names of settings, stages and the module of EpochLog."""
    earlier = clone(fitted)
    earlier.__dict__.update(fitted.__dict__, recipe_=as_formerly_pickled(fitted.recipe_))
    content = pickle.dumps(earlier, protocol=2)
    for name, former in {
        "hitofude.learning.epoch_log\nEpochLog": "hitofude.learning.checkpoint\nEpochLog",
        "hitofude.recipe\nTtaRecipe": "hitofude.recipe\nViewsRecipe",
        "hitofude.recipe\nEmaRecipe": "hitofude.recipe\nAveragingRecipe",
    }.items():
        assert name.encode() in content
        content = content.replace(name.encode(), former.encode())
    again = pickle.loads(content)  # noqa: S301
    assert again.recipe_ == fitted.recipe_
    assert np.array_equal(again.predict_proba(rows[:20]), fitted.predict_proba(rows[:20]))


def test_the_same_seed_learns_the_same_whatever_the_threads_of_pytorch(
    fitted: HitofudeClassifier, rows: np.ndarray, labels: np.ndarray
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    again = clone(fitted).fit(rows, labels)
    torch.set_num_threads(threads)
    assert np.array_equal(again.oof_probabilities_, fitted.oof_probabilities_)
    other = clone(fitted).set_params(seed=1).fit(rows, labels)
    assert not np.array_equal(other.oof_probabilities_, fitted.oof_probabilities_)


@pytest.mark.slow
def test_the_same_seed_learns_the_same_beside_other_fits_and_in_other_processes(
    fitted: HitofudeClassifier, rows: np.ndarray, labels: np.ndarray
) -> None:
    side_by_side = clone(fitted).set_params(workers=2).fit(rows, labels)
    in_processes = joblib.Parallel(n_jobs=2)(joblib.delayed(clone(fitted).fit)(rows, labels) for _ in range(2))
    for again in (side_by_side, *in_processes):
        assert np.array_equal(again.oof_probabilities_, fitted.oof_probabilities_)


@pytest.mark.slow
def test_a_grid_is_searched_in_a_pipeline(digits: ImageSet) -> None:
    rows, labels = digits.images.reshape(300, 784), digits.known_labels()
    pipeline = make_pipeline(StandardScaler(), quick())
    settings = [QUICK | {"schedule.epochs": epochs} for epochs in (1, 8)]
    search = GridSearchCV(pipeline, {"hitofudeclassifier__settings": settings}, cv=2, refit=False).fit(rows, labels)
    assert search.best_params_["hitofudeclassifier__settings"] == settings[1]


@pytest.mark.slow
def test_single_settings_are_searched_and_rows_of_a_group_stay_together(digits: ImageSet) -> None:
    rows, labels = digits.images[:150], digits.known_labels()[:150]
    grid = {"schedule__epochs": [1, 8], "augment__probability": [0.0, 1.0]}
    search = GridSearchCV(quick(), grid, cv=2, refit=False).fit(rows, labels)
    assert search.best_params_["schedule__epochs"] == 8
    groups = np.arange(150) // 3
    found = cross_val_predict(
        quick(schedule__epochs=1), rows, labels, groups=groups, cv=GroupKFold(2), params={"groups": groups}
    )
    assert found.shape == (150,)


def test_single_settings_are_parameters_and_win(rows: np.ndarray, labels: np.ndarray) -> None:
    estimator = quick(schedule__epochs=np.int64(1)).set_params(augment__probability=0.0, seed=3)
    assert estimator.get_params()["schedule__epochs"] == 1
    assert "schedule__epochs=" in repr(estimator)
    found = pickle.loads(pickle.dumps(clone(estimator))).fit(rows[:40], labels[:40] % 2)  # noqa: S301
    assert (found.recipe_.schedule.epochs, found.recipe_.augment.probability, found.recipe_.seed) == (1, 0.0, 3)


def test_rows_of_weight_0_are_predicted_but_not_learned_from(rows: np.ndarray, labels: np.ndarray) -> None:
    """Whatever their images are, the networks are the same."""
    weights = np.where(np.arange(60) % 3 == 0, 0.0, 1.0)
    images, odd = rows[:60], labels[:60] % 2
    others = np.where(weights[:, None] > 0, images, images // 2)
    found, changed = (quick().fit(one, odd, sample_weight=weights) for one in (images, others))
    assert not np.isnan(found.oof_probabilities_).any()
    for ours, theirs in zip(found.members_, changed.members_, strict=True):
        assert all(np.array_equal(ours.weights[name], theirs.weights[name]) for name in ours.weights)
    assert not np.array_equal(found.oof_probabilities_, quick().fit(images, odd).oof_probabilities_)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray | None]:
    """The weights of each fit, which trains nothing."""
    found: list[np.ndarray | None] = []
    monkeypatch.setattr(HitofudeClassifier, "_train", lambda self, plan, _: found.append(plan.train.weights))
    return found


def test_weights_that_are_all_alike_are_none(
    rows: np.ndarray, labels: np.ndarray, seen: list[np.ndarray | None]
) -> None:
    for weights in (np.full(100, 3), [1] * 100, 2.5):
        quick().fit(rows, labels, sample_weight=weights)
    assert seen == [None] * 3


def test_scikit_learn_passes_weights_on(rows: np.ndarray, labels: np.ndarray, seen: list[np.ndarray | None]) -> None:
    """As `params`, and by metadata routing."""
    weights, odd = np.arange(1.0, 61.0), labels[:60] % 2
    how = {"cv": [(np.arange(40), np.arange(40, 60))], "params": {"sample_weight": weights}, "scoring": lambda *_: 0.0}
    cross_validate(quick(), rows[:60], odd, **how)
    with config_context(enable_metadata_routing=True):
        estimator = quick().set_fit_request(sample_weight=True)
        cross_validate(estimator, rows[:60], odd, **how)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        make_pipeline(scaler, estimator).fit(rows[:40], odd[:40], sample_weight=weights[:40])
    assert [found is not None and found.tolist() for found in seen] == [weights[:40].tolist()] * 3


def test_a_setting_that_cannot_work_is_a_warning(rows: np.ndarray, labels: np.ndarray) -> None:
    with pytest.warns(UserWarning, match=r"ema\.decay=0\.999 is never reached in \d+ steps"):
        quick().set_params(settings=QUICK | {"ema.decay": 0.999}).fit(rows, labels)


def test_no_file_remains(rows: np.ndarray, labels: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    quick().fit(rows[:40], labels[:40] % 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_cross_validation_scores_digits(digits: ImageSet) -> None:
    """benchmarks/estimator.py measures it on 1,500 digits."""
    settings = QUICK | {"schedule.epochs": 12}
    scores = cross_val_score(
        HitofudeClassifier(settings=settings, workers=1), digits.images, digits.known_labels(), cv=2
    )
    assert scores.mean() > 0.85


@pytest.mark.parametrize(("settings", "size"), [({}, 16), ({"optimizer.batch_size": 50}, 50)])
def test_few_rows_are_trained_in_smaller_batches_unless_a_size_is_named(
    settings: dict[str, int], size: int, rows: np.ndarray, labels: np.ndarray
) -> None:
    short = SMALL | {"schedule.epochs": 1, "schedule.min_steps": 0}
    found = HitofudeClassifier(settings=short | settings, workers=1).fit(rows, labels)
    assert found.recipe_.optimizer.batch_size == size


def test_a_single_image_of_a_class_is_trained_on_and_never_held_out(rows: np.ndarray, labels: np.ndarray) -> None:
    few = np.r_[np.flatnonzero(labels < 2), np.flatnonzero(labels == 2)[:1]]
    with pytest.warns(UserWarning, match="too few images to hold any out of '2'"):
        found = quick().set_params(settings=QUICK | {"ensemble.folds": 3}).fit(rows[few], labels[few])
    assert np.isnan(found.oof_probabilities_).all(axis=1).tolist() == [False] * (len(few) - 1) + [True]


def test_there_are_at_most_as_many_folds_as_a_class_has_images(rows: np.ndarray, labels: np.ndarray) -> None:
    few = np.r_[np.flatnonzero(labels == 1)[:2], np.flatnonzero(labels == 2)[:2]]
    with pytest.warns(UserWarning, match="2 folds in place of 5"):
        found = quick().set_params(settings=QUICK | {"ensemble.folds": 5}).fit(rows[few], labels[few])
    assert len(found.members_) == found.recipe_.ensemble.folds == 2


def test_rows_of_a_group_and_copies_are_held_out_together(rows: np.ndarray, labels: np.ndarray) -> None:
    """The first ten images are there twice."""
    writers, odd = np.r_[np.arange(50) % 10, np.arange(10, 20)], labels % 2
    found = quick().fit(np.r_[rows[:50], rows[:10]], np.r_[odd[:50], odd[:10]], groups=writers)
    for member in found.members_:
        is_held_out = np.isin(np.arange(60), member.held_out)
        assert (is_held_out[:50].reshape(5, 10) == is_held_out[50:]).all()


def test_a_sample_of_the_rows_leaves_the_others_without_out_of_fold_probabilities(
    rows: np.ndarray, labels: np.ndarray
) -> None:
    found = quick().set_params(settings=QUICK | {"rows": 50}).fit(rows, labels)
    known = ~np.isnan(found.oof_probabilities_).any(axis=1)
    assert known.sum() == 50
    assert sorted(np.concatenate([member.held_out for member in found.members_])) == np.flatnonzero(known).tolist()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"preset": "fats"}, "Did you mean 'fast'"),
        ({"settings": {"schedule.epoch": 3}}, r"Did you mean 'schedule\.epochs'"),
        ({"epochs": 3}, "There is no setting 'epochs'"),
        ({"schedule__epoch": 3}, r"Did you mean 'schedule\.epochs'"),
        ({"settings": {"schedule.epochs": "three"}}, "valid integer"),
        ({"settings": ["schedule.epochs=3"]}, "expected names and values"),
        ({"settings": {3: 1}}, "expected names and values"),
        ({"seed": -1}, "seed"),
        ({"seed": 0.5}, "seed"),
        ({"device": "tpu"}, "no device 'tpu'"),
        ({"workers": 0}, "workers=0"),
        ({"workers": "2"}, "workers='2'"),
        ({"image_shape": (20, 20)}, "needs 400"),
        ({"image_shape": 28}, "image_shape"),
    ],
)
def test_invalid_parameters_are_value_errors(
    parameters: dict[str, object], message: str, rows: np.ndarray, labels: np.ndarray
) -> None:
    with pytest.raises(ValueError, match=message):
        HitofudeClassifier(**parameters).fit(rows[:40], labels[:40])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x, y: (x, np.zeros(len(y))), "one class"),
        (lambda x, y: (x[:2], np.arange(2)), "Each class has a single image"),
        (lambda x, y: (x, y, np.zeros(39)), "inconsistent|groups: found"),
        (lambda x, y: (x, y, None, np.ones(39)), r"sample_weight: found the shape \(39,\) for 40 training rows"),
        (lambda x, y: (x, y, None, -np.ones(40)), "sample_weight, row 1: found -1"),
        (lambda x, y: (x, y, None, np.zeros(40)), "All weights are zero"),
        (lambda x, y: (x, y % 2, None, y % 2), "All rows of the class '0' have the weight 0"),
        (lambda x, y: (x, y / 7), "Unknown label type"),
        (lambda x, y: (x, np.array(["one", 2] * 20, dtype=object)), "labels in y have no order"),
        (lambda x, y: (x, y[:-1]), "inconsistent numbers of samples"),
        (lambda x, y: (x[:0], y[:0]), "0 sample"),
        (lambda x, y: (x.reshape(-1, 28, 28)[:, :0], y), "0 feature"),
        (lambda x, y: (np.where(x > 200, np.nan, x), y), "NaN"),
        (lambda x, y: (x.astype(str), y), "strings"),
        (lambda x, y: (x[0], y), "Reshape your data"),
        (lambda x, y: (x.reshape(-1, 1, 1, 28, 28), y), "Expected"),
        (lambda x, y: ([[1, 2], [3]] * 20, y[:40]), "inhomogeneous"),
    ],
)
def test_invalid_data_are_value_errors(
    make: Callable[..., tuple[object, ...]], message: str, rows: np.ndarray, labels: np.ndarray
) -> None:
    with pytest.raises(ValueError, match=message):
        quick().fit(*make(rows[:40], labels[:40]))


def test_images_of_another_shape_are_not_predicted(fitted: HitofudeClassifier, rows: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"images of \(14, 56\); the training images are \(1, 28, 28\)"):
        fitted.predict(rows.reshape(-1, 14, 56))
    with pytest.raises(ValueError, match="expecting 784 features"):
        fitted.predict(rows[:, :700])
    with pytest.raises(NotFittedError):
        quick().predict(rows)


def test_numbers_of_numpy_are_settings(rows: np.ndarray, labels: np.ndarray) -> None:
    settings = QUICK | {"schedule.epochs": np.int64(1), "optimizer.learning_rate": np.float32(0.05)}
    found = quick(seed=np.int64(3)).set_params(settings=settings).fit(rows[:40], labels[:40] % 2)
    assert (found.recipe_.seed, found.recipe_.schedule.epochs) == (3, 1)


def test_constant_images_are_learned_without_a_warning() -> None:
    settings = QUICK | {"optimizer.batch_size": 8}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = quick().set_params(settings=settings).fit(np.full((20, 30), 0.5), np.arange(20) % 2)
    assert found.predict_proba(np.full((1, 30), 0.5)).shape == (1, 2)


def test_sparse_rows_and_a_column_of_images_are_the_same_images(fitted: HitofudeClassifier, rows: np.ndarray) -> None:
    expected = fitted.predict_proba(rows[:5])
    assert np.array_equal(fitted.predict_proba(csr_matrix(rows[:5])), expected)
    assert np.array_equal(fitted.predict_proba(pd.DataFrame({"image": list(rows[:5])})), expected)


def test_images_on_another_scale_are_refused_with_both_ranges(fitted: HitofudeClassifier, rows: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"X: its numbers go from 0 to 1, but .* on the scale 0\.\.255. Bring X to"):
        fitted.predict(rows / 255)


def test_a_time_limit_chooses_the_recipe(
    rows: np.ndarray, labels: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(QUICK_POINT, tmp_path, monkeypatch)
    monkeypatch.setattr("hitofude.estimator.SpeedMeter", lambda images: GivenSpeeds(images, 1e11))
    fitted = HitofudeClassifier(time_limit="30s", settings={"seed": np.int64(3)}).fit(rows, labels)
    assert (fitted.recipe_.chosen_for, fitted.recipe_.seed, fitted.recipe_.schedule.epochs) == ("30s", 3, 3)
    assert len(fitted.members_) == 2


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [({"time_limit": "30"}, "has no unit"), ({"time_limit": 30, "preset": "best"}, "preset='best' gives it")],
)
def test_a_time_limit_that_says_nothing_or_too_much_is_a_value_error(
    parameters: dict[str, object], problem: str, rows: np.ndarray, labels: np.ndarray
) -> None:
    with pytest.raises(ValueError, match=problem):
        HitofudeClassifier(**parameters).fit(rows, labels)
