"""``ducho convert-config``: what Ducho 2.0 ran, as a recipe."""

from __future__ import annotations

import os

import click

from ducho_core.cli.output import emit, say

_EPILOG = """\b
Examples:
  ducho convert-config config.yml
  ducho convert-config config.yml --visual.items.model.0.batch_size=8 --out recipe.yaml

What differs from Ducho 2.0 and what cannot be done is said on stderr, a line each, with the
key's path. Exit codes: 0 all is in the recipe, 1 something is not, 2 wrong usage."""


@click.command("convert-config", epilog=_EPILOG, context_settings={"ignore_unknown_options": True})
@click.argument("config", type=click.Path(exists=True, dir_okay=False))
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED, metavar="[--KEY.KEY=VALUE]...")
@click.option("--out", type=click.Path(dir_okay=False), help="Write the recipe to this new file.")
@click.option("--store", help="The recipe's store.  [default: features beside the recipe]")
@click.pass_context
def convert_config(
    context: click.Context,
    /,
    *,
    config: str,
    overrides: tuple[str, ...],
    out: str | None,
    store: str | None,
) -> None:
    """Print the recipe that does what CONFIG, a configuration of Ducho 2.0, asks for.

    Keys can be overridden as in Ducho 2.0. The recipe's paths are relative to the folder of
    --out, or to the current one.
    """
    from ducho_core.ducho2.loading import load
    from ducho_core.ducho2.recipe_text import recipe_text
    from ducho_core.errors import UsageError

    loaded = load(config, overrides)
    text = recipe_text(
        loaded.plan,
        loaded.remarks,
        name=os.path.basename(config),
        folder=os.path.dirname(out) if out else "",
        store=store,
    )
    for remark in loaded.remarks.lines:
        say(f"{remark.path}: {'cannot be done: ' if remark.left_out else ''}{remark.text}")
    if out is None:
        emit(text.rstrip("\n"))
    else:
        try:
            with open(out, "x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise UsageError(f"{out} cannot be written: {error.strerror}") from error
    context.exit(1 if loaded.remarks.left_out else 0)
