"""``eigenwalk convert``: a downloaded network as a file that holds no pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eigenwalk.errors import InputError
from eigenwalk_stylegan.formats.converted import write
from eigenwalk_stylegan.recognise import load

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_show_locals=False)


@app.command()
def convert(
    file: Annotated[Path, typer.Argument(help="A StyleGAN2 or StyleGAN3 in any of the formats that are known.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write, such as model.safetensors.")],
) -> None:
    """Write a StyleGAN to safetensors, with its configuration: nothing in that file can run."""
    if output.suffix != ".safetensors":
        raise InputError(f"-o must end with .safetensors, got {output}")
    if output.resolve() == file.resolve():
        raise InputError(f"-o must be another file than the one that is converted, {file}")
    network, description = load(file)
    write(network, description.source, output)
    count = sum(parameter.numel() for parameter in network.parameters())
    height, width = network.sizes.shape
    typer.echo(f"{output}: {description.source}, {width} x {height} pixels, {count / 1e6:.1f} million parameters")
