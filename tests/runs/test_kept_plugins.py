"""A run with a user's own network and augmentation, from the training to every door that it leads to."""

import pickle
from pathlib import Path

import numpy as np
import pytest

import hitofude
from hitofude import HitofudeClassifier
from hitofude.errors import RecipeError, RunFolderError
from hitofude.export.onnx_model import OnnxModel
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import Dataset
from hitofude.learning.plugins import PluginSource, load_plugins, load_sources, using
from hitofude.learning.training import Trainer
from hitofude.prediction.bulk.run import predict_in_bulk
from hitofude.prediction.files import predict
from hitofude.recipe import Recipe
from hitofude.runs.folder import RunFolder
from hitofude.runs.kept_plugins import keep_plugins, kept_plugins, plugin_differences
from hitofude.runs.result import RunResult
from hitofude.web.starting import find_model_file
from tests.conftest import PLUGIN, Call, copy_of, write_csv

OWN = {
    "network.name": "tiny", "network.margin": 0, "augment.own": ["noise"], "schedule.epochs": 3,
    "schedule.epoch_share": 1.0, "schedule.min_steps": 0, "optimizer.batch_size": 32, "ensemble.folds": 2,
}  # fmt: skip
FILES = ("members/00/weights.safetensors", "members/01/weights.safetensors", "submission.csv")


def train(dataset: Dataset, plugin: Path, run: Path, workers: int | str = 1) -> RunResult:
    return hitofude.run(
        dataset, run=run, settings=OWN, plugins=[plugin], device="cpu", workers=workers, threads=1, quiet=True
    )


@pytest.fixture(scope="module")
def own_run(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A finished run; its plugin is not loaded any more."""
    folder = tmp_path_factory.mktemp("own")
    plugin = folder / "my_network.py"
    plugin.write_text(PLUGIN, encoding="utf-8")
    with using([]):
        return train(dataset, plugin, folder / "run")


@pytest.fixture
def kept(own_run: RunResult) -> Path:
    """The source in the run folder."""
    return own_run.folder.plugins / "my_network.py"


@pytest.fixture
def changed(plugin: Path) -> Path:
    """Another version of the plugin."""
    plugin.write_text(PLUGIN.replace("0.1 * torch.randn", "0.2 * torch.randn"), encoding="utf-8")
    return plugin


def contents(result: RunResult) -> list[bytes]:
    return [(result.folder.path / name).read_bytes() for name in FILES]


def test_the_run_keeps_the_source_and_draws_the_network(own_run: RunResult, kept: Path) -> None:
    assert kept.read_text(encoding="utf-8") == PLUGIN
    assert "block: Conv2d" in own_run.folder.network.read_text(encoding="utf-8")
    assert "classify: Linear" in own_run.folder.page.read_text(encoding="utf-8")


def test_a_killed_run_ends_with_the_same_bytes(
    own_run: RunResult, dataset: Dataset, plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Trainer.run_epoch

    def killed(self: Trainer, epoch: int, observer: object) -> object:
        if epoch == 2 and self.plan.member == 1:
            raise KeyboardInterrupt
        return whole(self, epoch, observer)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "run_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, plugin, tmp_path / "run")
    monkeypatch.undo()
    assert contents(train(dataset, plugin, tmp_path / "run")) == contents(own_run)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, "dask"])
def test_workers_that_lack_the_file_make_the_same_bytes(
    own_run: RunResult, dataset: Dataset, plugin: Path, tmp_path: Path, workers: int | str
) -> None:
    load_plugins([plugin])
    plugin.unlink()
    result = hitofude.run(
        dataset, run=tmp_path / "run", settings=OWN, device="cpu", workers=workers, threads=1, quiet=True
    )
    assert contents(result) == contents(own_run)


def test_a_changed_source_is_refused_with_the_difference(
    own_run: RunResult, files: Path, changed: Path, tmp_path: Path, call: Call
) -> None:
    folder = copy_of(own_run, tmp_path).path
    settings = [word for name, value in OWN.items() for word in ("--set", f"{name}={value}")]
    code, _, error = call("run", files, "--plugin", changed, *settings, "--run", folder, "--device", "cpu")
    assert code == 3
    assert "-    return batch + 0.1 * torch.randn" in error
    assert "+    return batch + 0.2 * torch.randn" in error
    assert f"With the run's own: --plugin {folder / 'plugins' / 'my_network.py'}" in error


def test_an_unfinished_run_is_not_continued_with_a_changed_source(
    own_run: RunResult, dataset: Dataset, changed: Path, tmp_path: Path
) -> None:
    folder = copy_of(own_run, tmp_path)
    folder.report.unlink()
    with pytest.raises(RunFolderError, match=r"plugin my_network.py: its source has changed"):
        train(dataset, changed, folder.path)


def test_two_cells_of_a_notebook_are_kept_apart_and_compared_each_with_its_own(plugin: Path, tmp_path: Path) -> None:
    folder, recipe = RunFolder(tmp_path / "run"), Recipe().with_settings({"network.name": "a", "augment.own": ["b"]})
    network = "import hitofude\nhitofude.register_network('a')(lambda shape, classes: None)\n"
    noise = "import hitofude\nhitofude.register_augmentation('b')(lambda batch, generator: batch)\n"
    load_sources([PluginSource("notebook_cell.py", text, f"<{place}>") for place, text in enumerate((network, noise))])
    keep_plugins(folder, recipe)
    assert len(list(folder.plugins.iterdir())) == 2
    assert plugin_differences(folder, recipe) == []
    with using([PluginSource("notebook_cell.py", noise + "# new\n", "<3>")]):
        found = "\n".join(plugin_differences(folder, recipe))
    assert found.splitlines()[-2:] == [
        "+# new",
        f"With the run's own: --plugin {folder.plugins / kept_plugins(folder)[1].file}",
    ]
    assert "lambda shape" not in found


def test_a_plugin_that_fails_ends_the_command_with_2(plugin: Path, call: Call) -> None:
    plugin.write_text("import hitofude\n\nhitofude.register_networks", encoding="utf-8")
    code, _, error = call("networks", "--plugin", plugin)
    assert code == 2
    assert error.startswith(f"hitofude: {plugin}, line 3: AttributeError: module 'hitofude' has no attribute")


def test_without_the_plugin_the_network_is_unknown(dataset: Dataset, plugin: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no network 'tiny'.*loaded with --plugin FILE"):
        hitofude.run(dataset, run=tmp_path / "run", settings={**OWN, "augment.own": []}, quiet=True)
    assert not (tmp_path / "run").exists()


def test_code_in_a_run_folder_is_run_only_if_it_is_named(
    own_run: RunResult, files: Path, plugin: Path, kept: Path, call: Call
) -> None:
    call_it = "predict", own_run.folder.path, files / "test.csv"
    code, _, error = call(*call_it)
    assert code == 3
    assert "code in a run folder is not run unasked" in error
    option = error[error.index("--plugin") :].strip().removesuffix(".").split(maxsplit=1)
    assert option == ["--plugin", str(kept)]
    code, out, _ = call(*call_it, *option)
    assert (code, len(out.splitlines())) == (0, 51)


def test_another_version_does_not_predict(own_run: RunResult, changed: Path, digits: ImageSet) -> None:
    with pytest.raises(RunFolderError, match=r"was trained with another plugin"):
        predict(own_run.folder.path, digits.images[:3], plugins=[changed])


def test_the_same_source_in_any_place_predicts(own_run: RunResult, plugin: Path, dataset: Dataset) -> None:
    assert dataset.test is not None
    probabilities = predict(own_run.folder.path, dataset.test.images, plugins=[plugin], device="cpu")
    with np.load(own_run.folder.test_probabilities) as saved:
        np.testing.assert_allclose(probabilities, saved["probabilities"], atol=1e-5)


@pytest.mark.slow
def test_bulk_workers_get_the_source(own_run: RunResult, plugin: Path, digits: ImageSet, tmp_path: Path) -> None:
    load_plugins([plugin])
    plugin.unlink()
    shard = write_csv(tmp_path / "shard.csv", digits.take(np.arange(20)), label=None)
    assert predict_in_bulk(own_run.folder.path, [shard], tmp_path / "out", workers=1, quiet=True).images == 20


@pytest.mark.slow
def test_it_is_exported_and_served(own_run: RunResult, kept: Path, tmp_path: Path) -> None:
    folder = copy_of(own_run, tmp_path)
    with pytest.raises(RunFolderError, match=r"--plugin"):
        find_model_file(folder.path)
    assert OnnxModel.load(find_model_file(folder.path, [kept])).description.networks == ("tiny", "tiny")


def test_an_estimator_carries_its_source(plugin: Path, digits: ImageSet) -> None:
    images, labels = digits.images[:, 0], digits.known_labels()
    fitted = HitofudeClassifier(settings=OWN, plugins=[plugin], device="cpu").fit(images, labels)
    expected, pickled = fitted.predict_proba(images[:5]), pickle.dumps(fitted)
    with using([]):
        plugin.write_text(PLUGIN.replace("4, 3, padding=1", "4, 1"), encoding="utf-8")
        load_plugins([plugin])
        np.testing.assert_array_equal(pickle.loads(pickled).predict_proba(images[:5]), expected)  # noqa: S301


def test_a_damaged_list_of_plugins_is_refused(own_run: RunResult, plugin: Path, tmp_path: Path) -> None:
    folder = copy_of(own_run, tmp_path)
    folder.plugin_list.write_text("{}", encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"plugins.json"):
        predict(folder.path, np.zeros((1, 28, 28)), plugins=[plugin])
