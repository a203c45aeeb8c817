"""The networks, and how fast this machine is."""

from hitofude.cli.app import Device, Plugins, app, tell


@app.command
def networks(*, device: Device = "auto", plugin: Plugins = ()) -> None:
    """List the networks, with their size and their speed on this machine.

    Parameters, multiplications (MACs) of one 28x28 image, images per second in
    training and in prediction; each is measured for some seconds. Choose a network
    with --set network.name=NAME.

    For example:
      hitofude networks

    Parameters
    ----------
    device
        auto, cpu, cuda, cuda:1 for the second GPU, or mps.
    plugin
        A Python file with networks or augmentations of your own; may be repeated. See docs/extending.md.
    """
    from hitofude.inputs.sources import sample
    from hitofude.learning.compute import choose_compute
    from hitofude.learning.plugins import load_plugins
    from hitofude.learning.speed import measure_networks

    load_plugins(plugin)
    compute = choose_compute(device)
    tell(str(compute))
    tell(measure_networks(sample().train, compute))


@app.command
def bench(*, device: str = "auto", plugin: Plugins = ()) -> None:
    """Measure how fast this machine trains and predicts, beside its own matrix products.

    Takes about a minute. The last column is the share of the measured matmul rate
    that training achieves; let the machine rest meanwhile. benchmarks/contests.py
    compares with other libraries.

    For example:
      hitofude bench

    Parameters
    ----------
    device
        auto, cpu, cuda, cuda:1 for the second GPU, or mps.
    plugin
        A Python file with networks or augmentations of your own; may be repeated. See docs/extending.md.
    """
    from hitofude.inputs.sources import sample
    from hitofude.learning.compute import choose_compute
    from hitofude.learning.plugins import load_plugins
    from hitofude.learning.speed import describe_machine, matmul_rate, measure_networks

    load_plugins(plugin)
    compute = choose_compute(device)
    tell(describe_machine(compute))
    rate = matmul_rate(compute)
    tell(f"matmul {rate / 1e9:,.0f} GFLOP/s in {compute.precision}")
    tell(measure_networks(sample().train, compute, rate))
