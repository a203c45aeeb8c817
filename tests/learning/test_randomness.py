import torch

from hitofude.learning.randomness import generator_for, seed_for


def test_the_same_arguments_draw_the_same() -> None:
    first, second = (torch.rand(5, generator=generator_for(1, 2, 3, "augment")) for _ in range(2))
    assert torch.equal(first, second)


def test_different_arguments_have_different_seeds() -> None:
    seeds = {
        seed_for(seed, member, epoch, purpose)
        for seed in range(3)
        for member in range(12)
        for epoch in range(12)
        for purpose in ("weights", "shuffle", "augment")
    }
    assert len(seeds) == 3 * 12 * 12 * 3
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    generator_for(1, 2, 3, "weights")
    assert torch.equal(torch.get_rng_state(), before)
