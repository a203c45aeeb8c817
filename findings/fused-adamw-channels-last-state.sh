#!/usr/bin/env bash
# torch 2.13.0 with safetensors 0.8.0: a fused AdamW step with a restored state goes wrong without a word.
#
# Source: torch.optim.AdamW(fused=True) and Optimizer.load_state_dict of PyTorch 2.13.0, on a CPU.
# Expected: a checkpoint holds values, so training continued from it takes the same next step.
# Found: safetensors saves contiguous tensors only. A network in channels_last keeps its weights in another memory
# layout; load_state_dict takes the restored moments in the layout they have, and the fused kernel walks through
# weights, gradients and moments in storage order. The moments then belong to other weights. The same with
# fused=False is right to the last bit.
# Way out: copy each moment into torch.empty_like(parameter) before load_state_dict.
# Output seen (x86-64, Linux):
#   fused=False: restored step equals the uninterrupted one: True
#   fused=True: restored step equals the uninterrupted one: False
#   fused=True, moments laid out as the weights: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 safetensors==0.8.0 numpy
cat > "$folder/run.py" <<'PYTHON'
import torch
from safetensors.torch import load, save
from torch import nn


def train(net, optimizer, steps):
    images = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    for _ in range(steps):
        optimizer.zero_grad()
        net(images.to(memory_format=torch.channels_last)).square().mean().backward()
        optimizer.step()


def next_step(fused, restore, laid_out=False):
    torch.manual_seed(0)
    net = nn.Conv2d(4, 8, 3).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01, fused=fused)
    train(net, optimizer, 3)
    if restore:
        state = optimizer.state_dict()
        flat = {f"{i}.{name}": value.contiguous() for i, kept in state["state"].items() for name, value in kept.items()}
        parameters = list(net.parameters())
        restored = {}
        for key, value in load(save(flat)).items():
            index, name = key.split(".")
            if laid_out and value.shape == parameters[int(index)].shape:
                value = torch.empty_like(parameters[int(index)]).copy_(value).detach()
            restored.setdefault(int(index), {})[name] = value
        optimizer.load_state_dict({"state": restored, "param_groups": state["param_groups"]})
    train(net, optimizer, 1)
    return net.weight.detach()


print("torch", torch.__version__)
found = {fused: torch.equal(next_step(fused, False), next_step(fused, True)) for fused in (False, True)}
mended = torch.equal(next_step(True, False), next_step(True, True, laid_out=True))
for fused, same in found.items():
    print(f"fused={fused}: restored step equals the uninterrupted one: {same}")
print(f"fused=True, moments laid out as the weights: {mended}")
raise SystemExit(0 if (found, mended) == ({False: True, True: False}, True) else "the behaviour has changed")
PYTHON
OMP_NUM_THREADS=1 "$folder/venv/bin/python" "$folder/run.py"
