"""How good a submission is, and how fast this machine."""

from pathlib import Path

from hitofude.cli.app import app


@app.command
def score(submission: Path, solution: Path, /) -> None:
    """Compare a submission with the true labels: accuracy and its 95 % interval.

    Both are CSV files with a header, the id in the first column and the label in the second.

    For example:
      hitofude score runs/sample-fast/submission.csv solution.csv
    """
    from hitofude.outputs.submission import score as predict_in_bulk

    print(f"accuracy {predict_in_bulk(submission, solution)}")


@app.command
def networks(*, device: str = "auto") -> None:
    """List the networks, with their size and their speed on this machine.

    Parameters, multiplications (MACs) of one 28x28 image, images a second in training and in prediction; measured
    for some seconds each. A network is chosen by --set network.name=NAME.

    For example:
      hitofude networks

    Parameters
    ----------
    device
        auto, cpu, cuda or mps.
    """
    from hitofude.benchmark.zoo import format_networks, measure_network
    from hitofude.inputs.sources import sample
    from hitofude.learning.compute import choose_compute
    from hitofude.learning.networks import NETWORKS

    compute, images = choose_compute(device), sample().train
    print(compute)
    print(format_networks([measure_network(name, images, compute) for name in NETWORKS]))


@app.command
def bench(*, device: str = "auto", csv: Path | None = None) -> None:
    """Measure how fast this machine is with hitofude, each figure beside another way to do the same.

    Takes a few minutes. Both ways are measured in turn; read the ratios, and let the machine rest.

    For example:
      hitofude bench
      hitofude bench --csv train.csv

    Parameters
    ----------
    device
        auto, cpu, cuda or mps.
    csv
        Measure only the reading of this file.
    """
    from hitofude.benchmark.contests import contests, describe, reading
    from hitofude.benchmark.timing import format_table
    from hitofude.learning.compute import choose_compute

    compute = choose_compute(device)
    print(describe(compute), flush=True)
    print(format_table(contests(compute) if csv is None else reading(csv)))
