"""Damage checkpoints by truncation and flipped bits; everything that loads must be exactly what was saved.

python -m benchmarks.damage [--trials 1000] [--seed N]

Each trial damages one or two files of a member in training (with two states) or of a finished one. Allowed outcomes:
the last state, the state before it with a warning, or a RunFolderError. Nothing may be executed: Python's audit hooks
watch for it.
"""

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor

from hitofude.errors import RunFolderError
from hitofude.learning.checkpoint import MemberFolder, Origin
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.networks import build_network
from hitofude.learning.optimizers import make_optimizer
from hitofude.recipe import OptimizerRecipe

ORIGIN: Origin = {"member": 0, "network": "cnn-medium"}
FORBIDDEN = ("pickle.find_class", "exec", "compile", "os.system", "subprocess.Popen", "ctypes.dlopen")
Member = tuple[torch.nn.Module, torch.optim.Optimizer]


def member(seed: int) -> Member:
    network = build_network("cnn-medium", (1, 20, 20), 3, torch.Generator().manual_seed(seed))
    optimizer = make_optimizer(network, OptimizerRecipe())
    network(torch.rand(2, 1, 20, 20, generator=torch.Generator().manual_seed(seed))).square().sum().backward()
    optimizer.step()
    return network, optimizer


def tensors(network: torch.nn.Module, optimizer: torch.optim.Optimizer | None = None) -> list[Tensor]:
    """Return everything that must be restored."""
    state = {} if optimizer is None else optimizer.state_dict()["state"]
    of_optimizer = [state[index][name] for index in sorted(state) for name in sorted(state[index])]
    return [tensor.clone() for tensor in [*network.state_dict().values(), *of_optimizer]]


def same(first: list[Tensor], second: list[Tensor]) -> bool:
    return len(first) == len(second) and all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


class Saved:
    """A member in training with two states, and a finished one, with their tensors."""

    def __init__(self, root: Path) -> None:
        self.training, self.finished = root / "training", root / "finished"
        self.logs = [EpochLog(0, epoch, 0.5 / epoch, 0.8, 0.4, 0.9, 1e-3, 1.5, 100.0) for epoch in (1, 2)]
        self.states = {}
        for count in (1, 2):
            made = member(count)
            MemberFolder(self.training).save_state({"network": made[0]}, made[1], ORIGIN, self.logs[:count])
            self.states[count] = tensors(*made)
        made = member(3)
        MemberFolder(self.finished).finish(made[0], ORIGIN, self.logs)
        self.weights = tensors(made[0])

    def load_training(self, folder: Path) -> str:
        warnings: list[str] = []
        network, optimizer = member(9)
        epochs = MemberFolder(folder, warnings.append).restore_state({"network": network}, optimizer, ORIGIN)
        if epochs != self.logs[: len(epochs)] or not same(tensors(network, optimizer), self.states[len(epochs)]):
            return "WRONG LOAD"
        if len(epochs) == 2:
            return "nothing was lost"
        return "the state before, with a warning" if warnings else "NO WARNING"

    def load_finished(self, folder: Path) -> str:
        network, _ = member(9)
        epochs = MemberFolder(folder).load_finished(network, ORIGIN)
        return "nothing was lost" if epochs == self.logs and same(tensors(network), self.weights) else "WRONG LOAD"


def damage(path: Path, generator: random.Random) -> None:
    """Cut the file short, or flip one to three bits."""
    content = bytearray(path.read_bytes())
    if generator.random() < 0.5:
        content = content[: generator.randrange(len(content))]
    else:
        for _ in range(generator.randint(1, 3)):
            content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    path.write_bytes(content)


def trial(saved: Saved, folder: Path, generator: random.Random) -> str:
    """Damage a copy; return the outcome of loading it."""
    in_training = generator.random() < 0.7
    shutil.copytree(saved.training if in_training else saved.finished, folder)
    for path in generator.sample(sorted(folder.iterdir()), k=generator.randint(1, 2)):
        damage(path, generator)
    try:
        return saved.load_training(folder) if in_training else saved.load_finished(folder)
    except RunFolderError:
        return "refused"
    except Exception as error:
        return f"TRACEBACK {type(error).__name__}: {error}"
    finally:
        shutil.rmtree(folder)


def run_trials(trials: int, seed: int) -> Counter[str]:
    """Count the outcomes; those in capitals must not occur."""
    generator = random.Random(seed)  # noqa: S311
    executed: list[str] = []
    watching = False
    sys.addaudithook(lambda event, _: executed.append(event) if watching and event in FORBIDDEN else None)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        saved = Saved(Path(name))
        trial(saved, Path(name, "first"), random.Random(0))  # noqa: S311
        watching = True
        outcomes = Counter(trial(saved, Path(name, "damaged"), generator) for _ in range(trials))
        watching = False
    if executed:
        outcomes[f"EXECUTED {', '.join(sorted(set(executed)))}"] = len(executed)
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    outcomes = run_trials(arguments.trials, arguments.seed)
    print(f"{arguments.trials} damaged checkpoints, seed {arguments.seed}")
    for outcome, count in outcomes.most_common():
        print(f"{count:>6}  {outcome}")
    sys.exit(any(outcome.split()[0].isupper() for outcome in outcomes))


if __name__ == "__main__":
    main()
