"""``ducho run``: a recipe of extractions, fusions and exports."""

from __future__ import annotations

import click

from ducho_core.cli.output import get_registry


@click.command()
@click.argument("recipe", type=click.Path(exists=True, dir_okay=False))
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
    """
    from ducho_core.cli.steps import carry_out_steps
    from ducho_core.recipe import read_recipe

    parsed = read_recipe(recipe)
    code = carry_out_steps(
        parsed,
        get_registry(context),
        store or parsed.store,
        dry_run=dry_run,
        allow_failures=allow_failures,
        as_json=as_json,
    )
    context.exit(code)
