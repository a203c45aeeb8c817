"""The estimator keeps scikit-learn's contract, and learns digits."""

import pickle
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from hitofude import HitofudeClassifier
from hitofude.inputs.image_set import ImageSet

QUICK = {"schedule.epochs": 2, "schedule.min_steps": 0, "optimizer.batch_size": 32}
TINY = {"schedule.epochs": 5, "schedule.min_steps": 0, "augment.probability": 0.0, "tta.shift": 0}
EXPECTED_FAILURES = {
    "check_methods_sample_order_invariance": "the last bit of a float32 depends on an image's place in its batch, and "
    "the check allows less",
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


def test_scikit_learns_own_checks_pass() -> None:
    found = check_estimator(
        HitofudeClassifier(settings=TINY, device="cpu", workers=1),
        expected_failed_checks=EXPECTED_FAILURES,
        on_fail=None,
        on_skip=None,
    )
    assert [result["check_name"] for result in found if result["status"] == "failed"] == []
    assert sum(result["status"] == "passed" for result in found) > 50


def test_each_row_is_predicted_by_networks_that_never_saw_it(fitted: HitofudeClassifier) -> None:
    assert len(fitted.members_) == 2
    assert sorted(np.concatenate([member.held_out for member in fitted.members_])) == list(range(100))
    assert fitted.oof_probabilities_.sum(axis=1) == pytest.approx(np.ones(100), abs=1e-5)


def test_probabilities_are_the_mean_of_the_members(fitted: HitofudeClassifier, rows: np.ndarray) -> None:
    """On the rows that one member held out, the out-of-fold probabilities are its own; the other's make up the rest."""
    alone = clone(fitted)
    alone.__dict__.update(fitted.__dict__)
    alone.members_ = fitted.members_[:1]
    held_out = fitted.members_[0].held_out
    assert alone.predict_proba(rows)[held_out] == pytest.approx(fitted.oof_probabilities_[held_out], abs=1e-6)


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


def test_the_same_seed_learns_the_same_beside_other_fits_and_by_other_workers(
    fitted: HitofudeClassifier, rows: np.ndarray, labels: np.ndarray
) -> None:
    side_by_side = clone(fitted).set_params(workers=2).fit(rows, labels)
    in_processes = joblib.Parallel(n_jobs=2)(joblib.delayed(clone(fitted).fit)(rows, labels) for _ in range(2))
    for again in (side_by_side, *in_processes):
        assert np.array_equal(again.oof_probabilities_, fitted.oof_probabilities_)
    other = clone(fitted).set_params(seed=1).fit(rows, labels)
    assert not np.array_equal(other.oof_probabilities_, fitted.oof_probabilities_)


def test_a_grid_is_searched_in_a_pipeline(digits: ImageSet) -> None:
    rows, labels = digits.images.reshape(300, 784), digits.known_labels()
    pipeline = make_pipeline(StandardScaler(), quick())
    settings = [QUICK | {"schedule.epochs": epochs} for epochs in (1, 8)]
    search = GridSearchCV(pipeline, {"hitofudeclassifier__settings": settings}, cv=2).fit(rows, labels)
    assert search.best_params_["hitofudeclassifier__settings"] == settings[1]


def test_nothing_is_left_behind(
    rows: np.ndarray, labels: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    quick().fit(rows[:40], labels[:40] % 2)
    assert list(tmp_path.iterdir()) == []


def test_cross_validation_scores_digits(digits: ImageSet) -> None:
    """The figure itself, of 1,500 digits, is benchmarks/estimator.py's."""
    settings = QUICK | {"schedule.epochs": 12}
    scores = cross_val_score(HitofudeClassifier(settings=settings), digits.images, digits.known_labels(), cv=2)
    assert scores.mean() > 0.85


@pytest.mark.parametrize(("settings", "size"), [({}, 16), ({"optimizer.batch_size": 50}, 50)])
def test_few_rows_are_trained_in_smaller_batches_unless_a_size_is_named(
    settings: dict[str, int], size: int, rows: np.ndarray, labels: np.ndarray
) -> None:
    short = {"schedule.epochs": 1, "schedule.min_steps": 0}
    found = HitofudeClassifier(settings=short | settings).fit(rows, labels)
    assert found.recipe_.optimizer.batch_size == size


def test_a_rare_class_makes_fewer_folds(rows: np.ndarray, labels: np.ndarray) -> None:
    few = np.r_[np.flatnonzero(labels < 2), np.flatnonzero(labels == 2)[:3]]
    with pytest.warns(UserWarning, match="Class '2' has 3 images, so there are 3 folds instead of 5"):
        found = quick().set_params(settings=QUICK | {"ensemble.folds": 5}).fit(rows[few], labels[few])
    assert len(found.members_) == found.recipe_.ensemble.folds == 3


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
def test_parameters_that_do_not_fit_are_value_errors(
    parameters: dict[str, object], message: str, rows: np.ndarray, labels: np.ndarray
) -> None:
    with pytest.raises(ValueError, match=message):
        HitofudeClassifier(**parameters).fit(rows[:40], labels[:40])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x, y: (x, np.zeros(len(y))), "one class"),
        (lambda x, y: (x[:11], np.r_[np.zeros(10), 1]), r"Class '1\.0' has too few images \(1\)"),
        (lambda x, y: (x, y / 7), "Unknown label type"),
        (lambda x, y: (x, np.array(["one", 2] * 20, dtype=object)), "labels in y have no order"),
        (lambda x, y: (x, y[:-1]), "inconsistent numbers of samples"),
        (lambda x, y: (x[:0], y[:0]), "0 sample"),
        (lambda x, y: (x.reshape(-1, 28, 28)[:, :0], y), "0 feature"),
        (lambda x, y: (np.where(x > 200, np.nan, x), y), "NaN"),
        (lambda x, y: (x.astype(str), y), "strings"),
        (lambda x, y: (x[0], y), "Reshape your data"),
        (lambda x, y: (x.reshape(-1, 1, 1, 28, 28), y), "ReadOptions"),
        (lambda x, y: ([[1, 2], [3]] * 20, y[:40]), "inhomogeneous"),
    ],
)
def test_data_that_do_not_fit_are_value_errors(
    make: Callable[..., tuple[object, object]], message: str, rows: np.ndarray, labels: np.ndarray
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


def test_integers_and_shares_of_numpy_are_settings(rows: np.ndarray, labels: np.ndarray) -> None:
    settings = QUICK | {"schedule.epochs": np.int64(1), "optimizer.learning_rate": np.float32(0.05)}
    found = quick(seed=np.int64(3)).set_params(settings=settings).fit(rows[:40], labels[:40] % 2)
    assert (found.recipe_.seed, found.recipe_.schedule.epochs) == (3, 1)


def test_constant_images_are_learned_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = quick().fit(np.full((20, 30), 0.5), np.arange(20) % 2)
    assert found.predict_proba(np.full((1, 30), 0.5)).shape == (1, 2)
