"""``ducho run``: a recipe of extractions, fusions and exports, or what Ducho 2.0 ran."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING

import click

from ducho_core.cli.output import get_registry

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("recipe", type=click.Path(exists=True, dir_okay=False))
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED, metavar="[--KEY.KEY=VALUE]...")
@click.option("--store", help="Another store than the recipe's.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
@click.option("--allow-failures", is_flag=True, help="Exit 0 in spite of new failures.")
@click.option("--json", "as_json", is_flag=True, help="The summaries as JSON.")
@click.pass_context
def run(
    context: click.Context,
    /,
    *,
    recipe: str,
    overrides: tuple[str, ...],
    store: str | None,
    dry_run: bool,
    allow_failures: bool,
    as_json: bool,
) -> None:
    """Carry out the extractions, fusions and exports of RECIPE, a YAML file.

    Each has the keys of the command's flags; what stands beside the lists is the default for
    all extractions. The command line and a recipe give the same feature sets. Paths are
    relative to the recipe's folder.

    \b
    store: features
    source: items.tsv
    extractions:
      - plugin: starter/image
        image: images/{item_id}.jpg
        name: pictures
      - plugin: starter/text
        text: "{title}. {description}"
        name: titles
    fusions:
      - sets: [pictures, titles]
        how: concat
        missing: drop
        name: both
    exports:
      - sets: both
        to: npy
        out: arrays

    RECIPE may also be an unchanged configuration of Ducho 2.0, whose keys can be overridden one
    by one: ducho run config.yml --visual.items.model.0.batch_size=8. Its features go into a
    store, by default features beside it, and from there into the output tree of Ducho 2.0.
    """
    from ducho_core.cli.steps import carry_out_steps
    from ducho_core.ducho2.reading import is_old, read_yaml
    from ducho_core.recipe import read_recipe

    if is_old(read_yaml(recipe), os.path.basename(recipe)):
        from ducho_core.cli.ducho2 import run_configuration

        beside = os.path.join(os.path.dirname(recipe), "features")
        code = run_configuration(
            recipe,
            overrides,
            get_registry(context),
            store or beside,
            dry_run=dry_run,
            allow_failures=allow_failures,
            as_json=as_json,
        )
        context.exit(code)
    _refuse(overrides, context)
    no_plugins = bool(context.find_root().params.get("no_plugins"))
    parsed = read_recipe(recipe, no_plugins=no_plugins)
    code = carry_out_steps(
        parsed,
        get_registry(context),
        store or parsed.store,
        dry_run=dry_run,
        allow_failures=allow_failures,
        as_json=as_json,
    )
    context.exit(code)


def _refuse(overrides: Sequence[str], context: click.Context) -> None:
    """Say no to what only a configuration of Ducho 2.0 takes, as click does."""
    if not overrides:
        return
    first = overrides[0]
    if not first.startswith("-"):
        raise click.UsageError(f"Got unexpected extra argument ({first})", context)
    name = first.partition("=")[0]
    known = [flag for one in context.command.params for flag in one.opts if flag[0] == "-"]
    near = difflib.get_close_matches(name, known)
    raise click.NoSuchOption(name, possibilities=near or None, ctx=context)
