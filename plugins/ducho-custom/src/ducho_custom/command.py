"""``ducho custom``. Imports click, and the rest when it is run."""

from __future__ import annotations

import click


@click.group()
def custom() -> None:
    """Work with models of your own."""


@custom.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT.safetensors")
@click.option("--sha256", metavar="HEX", help="Digest of IN; to pin it is to trust its author.")
@click.option("--key", help="Where in IN the state dict is, such as ema.state_dict.")
def convert(source: str, target: str, sha256: str | None, key: str | None) -> None:
    """Write a checkpoint's weights as safetensors, which run no code.

    A state dict needs no pin. A pickled network, or any other file that can run code when it is
    loaded, is refused unless its digest is given with --sha256.
    """
    from ducho_custom.conversion import convert as carry_out

    done = carry_out(source, target, sha256=sha256, key=key)
    for remark in done.remarks:
        click.echo(remark, err=True)
    click.echo(f"{target}: {done.tensors} tensors, {done.numbers:,} numbers, sha256 {done.sha256}")
