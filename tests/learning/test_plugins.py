"""A plugin registers networks and augmentations by its source; a failure names its file and line."""

import linecache
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from hitofude.errors import ClusterError, RecipeError
from hitofude.learning import plugins
from hitofude.learning.networks import build_network
from hitofude.learning.own_augmentations import OwnAugmentations
from hitofude.learning.plugins import PluginSource, check_alone, find_registered, load_plugins, load_sources, using
from hitofude.learning.recipe_plugins import load_packed, pack_sources
from hitofude.workers.pool import FAILS_EVERYWHERE

SHAPE = 1, 12, 12
HEAD = "import torch, numpy, hitofude\nfrom torch import nn\n"


def load(path: Path, text: str) -> None:
    path.write_text(HEAD + textwrap.dedent(text), encoding="utf-8")
    load_plugins([path])


def network(name: str = "mine", seed: int = 0) -> torch.nn.Module:
    return build_network(name, SHAPE, 3, torch.Generator().manual_seed(seed))


LINEAR = """
    @hitofude.register_network("mine")
    def mine(image_shape, classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(144, classes))
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = (", "line 3: SyntaxError"),
        ("import no_such_package", "line 3: ModuleNotFoundError: No module named 'no_such_package'"),
        ("raise ValueError('why not')", "line 3: ValueError: why not"),
        ("import sys; sys.exit(3)", "line 3: SystemExit: 3"),
        ("x = 1", "registers nothing. Put @hitofude.register_network"),
        (
            "@hitofude.register_network('a b')\ndef f(image_shape, classes): ...",
            "line 3: 'a b' cannot name the network",
        ),
        ("@hitofude.register_network('a-margin-2')\ndef f(image_shape, classes): ...", "cannot name the network"),
        ("hitofude.run()", 'Put the call under `if __name__ == "__main__":`'),
    ],
)
def test_a_file_that_cannot_be_loaded_says_where(plugin: Path, text: str, message: str) -> None:
    with pytest.raises(RecipeError) as error:
        load(plugin, text)
    assert message in str(error.value)
    assert str(error.value).startswith(str(plugin))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"The plugin .*none.py cannot be read"):
        load_plugins([tmp_path / "none.py"])


def test_a_changed_file_replaces_what_it_registered_before(plugin: Path) -> None:
    load(plugin, LINEAR)
    load(plugin, LINEAR.replace("nn.Flatten(),", "nn.Flatten(), nn.Identity(),"))
    assert len(list(network().children())) == 3


def test_a_name_that_another_file_has_is_refused_with_both_places(plugin: Path) -> None:
    load(plugin, LINEAR)
    with pytest.raises(RecipeError) as error:
        load(plugin.with_name("other.py"), LINEAR + "\n")
    message = str(error.value)
    assert "other.py, line 4: the network 'mine' is registered already, by" in message
    assert "my_network.py, line 4" in message


def test_a_network_of_ours_keeps_its_name(plugin: Path) -> None:
    load(plugin, LINEAR.replace("mine", "resnet"))
    with pytest.raises(RecipeError, match=r"my_network.py, line 4: 'resnet' is hitofude's own network"):
        network("resnet")


def test_an_unknown_name_says_how_to_load_one(plugin: Path) -> None:
    load(plugin, LINEAR)
    with pytest.raises(RecipeError, match=r"no network 'mne'. Did you mean 'mine'.*--plugin FILE"):
        network("mne")
    with pytest.raises(RecipeError, match=r"augment.own: there is no augmentation 'noise'. Those of your own"):
        OwnAugmentations(["noise"])


def test_a_block_uses_its_own_sources_and_leaves_the_others(plugin: Path) -> None:
    load(plugin, LINEAR)
    other = PluginSource(plugin.name, HEAD + textwrap.dedent(LINEAR.replace("nn.Flatten(),", "nn.Flatten(1),")), "kept")
    with using([other]):
        assert find_registered("network", "mine").source == other  # type: ignore[union-attr]
    assert find_registered("network", "mine").source.path == str(plugin)  # type: ignore[union-attr]


def register_in_a_cell(text: str, name: str) -> None:
    """Run text as a notebook does."""
    linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
    exec(compile(text, name, "exec"), {"__name__": "__main__", "nn": torch.nn})  # noqa: S102


def test_a_cell_of_a_notebook_is_a_plugin_and_may_be_changed(plugin: Path) -> None:
    register_in_a_cell(HEAD + textwrap.dedent(LINEAR), "<cell 1>")
    register_in_a_cell(HEAD + textwrap.dedent(LINEAR) + "# changed\n", "<cell 2>")
    registered = find_registered("network", "mine")
    assert registered is not None
    assert registered.source.text.endswith("# changed\n")
    assert str(registered.source) == "notebook_cell.py"
    check_alone(registered.source)


def test_a_cell_that_lacks_its_imports_is_refused_before_the_training(plugin: Path) -> None:
    register_in_a_cell("import hitofude\n" + textwrap.dedent(LINEAR), "<cell 3>")
    registered = find_registered("network", "mine")
    assert registered is not None
    check_alone(registered.source)  # the name is missing only when the network is built
    with pytest.raises(RecipeError, match="line 5, in mine: NameError: name 'nn' is not defined"):
        network()


def test_an_installed_package_registers_by_its_entry_point(
    plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, described = tmp_path / "some_nets", tmp_path / "some_nets-1.5.dist-info"
    package.mkdir()
    described.mkdir()
    (package / "__init__.py").touch()
    (package / "nets.py").write_text(HEAD + textwrap.dedent(LINEAR), encoding="utf-8")
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: some_nets\nVersion: 1.5\n", encoding="utf-8")
    (described / "entry_points.txt").write_text("[hitofude.plugins]\nany = some_nets.nets\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    plugins._load_packages.cache_clear()
    registered = find_registered("network", "mine")
    assert registered is not None
    source = registered.source
    assert (source.name, source.module, source.version) == ("some_nets.nets", "some_nets.nets", "1.5")
    load_sources([source])
    elsewhere = PluginSource(source.name, source.text + "# newer", source.path, source.module, "1.6")
    with pytest.raises(RecipeError, match=r"some_nets.nets 1.5 here differs from 1.6 there. Install the same"):
        load_sources([elsewhere])


def test_a_worker_that_lacks_a_package_says_so_and_another_is_tried(plugin: Path) -> None:
    source = PluginSource(plugin.name, "import no_such_package", "/elsewhere/my_network.py")
    with pytest.raises(ClusterError, match=r"/elsewhere/my_network.py, line 1: ModuleNotFoundError") as error:
        load_packed(pack_sources([source]))
    assert not isinstance(error.value, FAILS_EVERYWHERE)


def test_errors_of_memory_and_of_other_code_pass(plugin: Path) -> None:
    for error in (MemoryError(), KeyError("elsewhere")):
        with pytest.raises(type(error)), plugins.explaining_plugin_errors():
            raise error


def test_augmentations_follow_each_other_and_draw_from_the_generator(plugin: Path) -> None:
    load(
        plugin,
        """
        @hitofude.register_augmentation("shift")
        def shift(batch, generator):
            return batch + torch.rand(len(batch), 1, 1, 1, generator=generator)
        @hitofude.register_augmentation("half")
        def half(batch, generator):
            return batch / 2
        """,
    )
    images = torch.zeros(3, *SHAPE)
    both = OwnAugmentations(["shift", "half"])
    assert both(images) is images
    both.begin(torch.Generator().manual_seed(5))
    drawn = torch.rand(3, 1, 1, 1, generator=torch.Generator().manual_seed(5))
    assert torch.equal(both(images), (images + drawn) / 2)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ("batch[:1]", "it returns (1, 1, 12, 12) float32 on cpu, expected (3, 1, 12, 12) float32 on cpu"),
        ("batch.double()", "float64 on cpu, expected"),
        ("None", "it returns no tensor"),
        ("batch @ 3", "line 5, in odd: TypeError"),
    ],
)
def test_an_augmentation_that_breaks_the_batch_is_refused(plugin: Path, result: str, message: str) -> None:
    load(plugin, f"@hitofude.register_augmentation('odd')\ndef odd(batch, generator):\n    return {result}")
    odd = OwnAugmentations(["odd"])
    odd.begin(torch.Generator())
    with pytest.raises(RecipeError) as error:
        odd(torch.zeros(3, *SHAPE))
    assert message in str(error.value)
    assert str(plugin) in str(error.value)


def test_the_example_of_the_document_is_a_plugin(plugin: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
    plugin.write_text(text.partition("```python\n")[2].partition("```")[0], encoding="utf-8")
    load_plugins([plugin])
    assert network("my-net")(torch.zeros(2, *SHAPE)).shape == (2, 3)
    noise = OwnAugmentations(["noise"])
    noise.begin(torch.Generator())
    assert noise(torch.zeros(2, *SHAPE)).std() > 0.01


def test_versions_that_a_thread_uses_do_not_change_or_stop_the_others(plugin: Path) -> None:
    load(plugin, LINEAR)
    other = PluginSource(plugin.name, HEAD + textwrap.dedent(LINEAR) + "# other\n", "kept")
    with using([other]), ThreadPoolExecutor(1) as executor:
        found = executor.submit(find_registered, "network", "mine").result(timeout=30)
    assert found is not None
    assert found.source.path == str(plugin)
