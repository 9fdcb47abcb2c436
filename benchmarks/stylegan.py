"""Seconds and memory of one waypoint on a StyleGAN of full size, with random weights.

    python benchmarks/stylegan.py stylegan2 --size 1024
    python benchmarks/stylegan.py stylegan3 --size 1024 --device cuda

One waypoint is what the walk asks of its linearisation there with the solver `davidson`: the image with its
gradient and the features' values; `--kept` tangents at once, those of the waypoint before; then `--expansions` times
one pullback and one tangent. The image's middle is held, the rest varies. Each number is that of the last of
`--waypoints`; memory is the process's largest, or the device's.
"""

from __future__ import annotations

import argparse
import resource
import time

import torch

from eigenwalk import load_feature
from eigenwalk.linearise import Linearisation
from eigenwalk_stylegan.configuration import Configuration, Mapping, StyleGAN2, StyleGAN3
from eigenwalk_stylegan.description import built
from eigenwalk_stylegan.generator import StyleGAN

GIGABYTE = 1 << 30


def configuration(network: str, size: int) -> Configuration:
    """Config F of StyleGAN2, or configuration T or R of StyleGAN3, at `size` pixels."""
    if network == "stylegan2":
        sides = [4 << k for k in range(size.bit_length() - 2)]
        return StyleGAN2(Mapping(512, 512, 512, 8), tuple(min(32768 // side, 512) for side in sides))
    sizes = Mapping(512, 512, 512, 2)
    if network == "stylegan3-r":
        return StyleGAN3(sizes, size, channel_base=65536, channel_max=1024, kernel=1, radial=True)
    return StyleGAN3(sizes, size)


def generator(network: str, size: int, space: str, device: str) -> StyleGAN:
    """The generator with random weights, as they are before training."""
    made = built(configuration(network, size))
    torch.manual_seed(0)
    for name, tensor in made.state_dict().items():
        tensor.normal_()
        if name.startswith("mapping.layers") and name.endswith("weight"):
            tensor.mul_(100)
        elif name.endswith(("style.bias", "magnitude")):
            tensor.fill_(1)
        elif name.endswith(("bias", "mean", "strength")):
            tensor.zero_()
        elif name == "input.transform":
            tensor.copy_(torch.eye(3))
    made.eval().requires_grad_(False)
    return StyleGAN(made, space=space).to(device)


Seconds = dict[str, tuple[float, float]]
"""Of the clock and of the processor, by part."""


def waypoint(look: Linearisation, z: torch.Tensor, kept: int, expansions: int) -> Seconds:
    """Seconds of the parts of one waypoint at `z` ``(1, latent)``."""
    seconds, before = {}, (time.perf_counter(), time.process_time())

    def note(part: str) -> None:
        nonlocal before
        if z.is_cuda:
            torch.cuda.synchronize()
        now = time.perf_counter(), time.process_time()
        seconds[part], before = (now[0] - before[0], now[1] - before[1]), now

    point = look.at(z)
    note("image and values")
    random = torch.Generator().manual_seed(1)
    pushed = point.push(torch.randn(1, kept, z.shape[1], generator=random).to(z))
    note(f"{kept} tangents at once")
    for _ in range(expansions):
        pulled = point.pull([change[:, 0] for change in pushed])
        pushed = point.push(pulled[:, None] / pulled.norm())
    note(f"{expansions} pullbacks, each with a tangent")
    seconds["waypoint"] = (sum(a for a, _ in seconds.values()), sum(b for _, b in seconds.values()))
    return seconds


def main() -> None:
    """Measures and prints."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("network", choices=("stylegan2", "stylegan3", "stylegan3-r"))
    words.add_argument("--size", type=int, default=1024, help="pixels")
    words.add_argument("--space", default="z")
    words.add_argument("--kept", type=int, default=4)
    words.add_argument("--expansions", type=int, default=5)
    words.add_argument("--tangents", type=int, default=4, help="how many go through the network at once")
    words.add_argument("--waypoints", type=int, default=2)
    words.add_argument("--device", default="cpu")
    asked = words.parse_args()
    made = generator(asked.network, asked.size, asked.space, asked.device)
    count = sum(parameter.numel() for parameter in made.network.parameters())
    print(
        f"{asked.network}, {asked.size} pixels, {count / 1e6:.1f} million parameters, {torch.get_num_threads()} threads"
    )
    box = "mask(box=(0.25, 0.25, 0.75, 0.75))"
    features = tuple((text, load_feature(text)) for text in (box, f"~{box}"))
    look = Linearisation(made, features, tangents=asked.tangents)
    seconds: Seconds = {}
    for i in range(asked.waypoints):
        seconds = waypoint(look, made.sample(1, i).to(asked.device), asked.kept, asked.expansions)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if asked.device != "cpu":
        peak = torch.cuda.max_memory_allocated()
    for part, (clock, processor) in seconds.items():
        print(f"{part:40} {clock:9.2f} s, {processor:9.2f} s of the processor")
    print(f"largest memory {peak / GIGABYTE:.2f} GB")


if __name__ == "__main__":
    main()
