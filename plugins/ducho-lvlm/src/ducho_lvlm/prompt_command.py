"""``ducho lvlm prompt``. Imports click, and the rest when it is run."""

from __future__ import annotations

import click


@click.group()
def prompt() -> None:
    """Work with prompts."""


@prompt.command()
@click.argument("named", metavar="FILE|PRESET")
@click.option("--model", metavar="ID", help="Hub id or folder of the model to render for.")
@click.option("--revision", metavar="COMMIT", help="Branch, tag or commit of it on the hub.")
@click.option("--image", metavar="FILE", help="The item's image; a grey one if not given.")
@click.option("--no-image", is_flag=True, help="Render without an image.")
@click.option("--text", "texts", metavar="NAME=TEXT", multiple=True, help="A text of the item.")
def check(
    named: str,
    model: str | None,
    revision: str | None,
    image: str | None,
    no_image: bool,  # noqa: FBT001 - click hands flags over so
    texts: tuple[str, ...],
) -> None:
    """Read a prompt, say what is wrong with it, and show it as a model gets it.

    Without --model the instruction is shown; with it the whole rendered chat for one item, and
    how many tokens it has.
    """
    from ducho_lvlm.checking import checked

    for line in checked(
        named, model=model, revision=revision, image=image, texts=texts, sees=not no_image
    ):
        click.echo(line)
