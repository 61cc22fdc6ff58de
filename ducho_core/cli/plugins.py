"""``ducho plugins``: what is installed, what it offers, what is wrong with it."""

from __future__ import annotations

from typing import Any

import click

from ducho_core.cli.output import emit, emit_json, get_registry, say, table


@click.group()
def plugins() -> None:
    """List, explain and check plugins."""


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def list_(ctx: click.Context, *, as_json: bool) -> None:
    """List the installed plugins, from metadata alone.

    A plugin is imported only when it is used; `ducho plugins doctor` imports and checks all.
    """
    records = get_registry(ctx).plugins()
    if as_json:
        emit_json(
            [
                {
                    "name": one.name,
                    "distribution": one.distribution,
                    "version": one.version,
                    "state": one.state,
                    "error": None if one.error is None else str(one.error),
                }
                for one in records
            ]
        )
        return
    rows = [(one.name, one.distribution, one.version, one.state) for one in records]
    emit(table(("plugin", "distribution", "version", "state"), rows))
    for message in dict.fromkeys(str(one.error) for one in records if one.error is not None):
        say(message)


@plugins.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def show(ctx: click.Context, name: str, *, as_json: bool) -> None:
    """Explain a plugin, or one of its parts (PLUGIN/NAME), with all options."""
    from ducho_core.cli.plugin_view import as_text, select, view

    found, problems = select(get_registry(ctx), name)
    views: list[dict[str, Any]] = [view(one, alone="/" in name) for one in found]
    for problem in problems:
        say(str(problem.error))
    if as_json:
        emit_json(views)
        return
    emit("\n\n".join(as_text(one) for one in views) if views else f"{name} offers nothing.")


@plugins.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def doctor(ctx: click.Context, name: str | None, *, as_json: bool) -> None:
    """Import every part of every plugin (or of one) and say what is wrong, with tracebacks.

    Exits with 1 when something is broken.
    """
    from ducho_core.cli.doctor import as_text, examine, examine_commands, examine_lists

    reports = examine(get_registry(ctx), name)
    if name is None:
        no_plugins = bool(ctx.find_root().params.get("no_plugins"))
        reports += examine_commands(no_plugins=no_plugins)
        reports += examine_lists(no_plugins=no_plugins)
    if as_json:
        emit_json([one.as_dict() for one in reports])
    else:
        emit("\n".join(as_text(one) for one in reports))
    if any(one.faults for one in reports):
        ctx.exit(1)


@plugins.command()
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(["extractor", "loader"]),
    default="extractor",
    show_default=True,
    help="What the plugin registers.",
)
@click.option(
    "--input",
    "modality",
    type=click.Choice(["image", "text", "audio"]),
    help="What its extractor takes. [default: image]",
)
@click.option("--out", metavar="DIR", default=".", help="Where the new folder is made.")
@click.pass_context
def new(ctx: click.Context, name: str, *, kind: Any, modality: Any, out: str) -> None:
    """Make a distribution of your own, ducho-NAME, with one working plugin.

    It holds a small extractor (or loader) to be replaced, its options, tests of the contract, a
    README, a CI file and all that is needed to publish it.
    """
    from ducho_core.cli.plugin_new import make_plugin

    make_plugin(get_registry(ctx), name, kind=kind, modality=modality, out=out)


@plugins.command()
@click.option("--index", "path", metavar="FILE", help="A plugin index of your own (TOML).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def index(ctx: click.Context, path: str | None, *, as_json: bool) -> None:
    """Say which plugins there are, which are installed, and how to install the others.

    Reads the index that comes with Ducho, or another one; no network is asked.
    """
    from ducho_core.cli.plugin_listing import print_index

    print_index(get_registry(ctx), path, as_json=as_json)


@plugins.command()
@click.argument("name")
@click.argument("pattern", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def models(ctx: click.Context, name: str, pattern: str | None, *, as_json: bool) -> None:
    """List models that a plugin, or one of its extractors (PLUGIN/NAME), knows by name.

    PATTERN keeps those that match it as a glob, or hold it: 'resnet*', mobilenet.
    """
    from ducho_core.cli.plugin_models import print_models

    print_models(get_registry(ctx), name, pattern, as_json=as_json)


@plugins.command()
@click.argument("name")
@click.option(
    "-o", "--option", "options", multiple=True, metavar="KEY=VALUE", help="An option of it."
)
@click.option("--model", help="Short for -o model=MODEL.")
@click.option("-k", "pattern", default="", metavar="PATTERN", help="Only checks called like this.")
@click.option(
    "--expect", "expected", multiple=True, metavar="CHECK=REASON", help="A failure to be expected."
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    type=click.Choice(["image", "text", "audio"]),
    help="What an extractor is given. [default: all that it takes]",
)
@click.option("--source", metavar="PATH", help="What a loader reads.")
@click.option("--precision", type=click.Choice(["exact", "fast", "native"]))
@click.option("--tolerance", type=float, help="How far a vector may lie from itself.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check(ctx: click.Context, /, *, model: str | None, as_json: bool, **wanted: Any) -> None:
    """Hold a plugin, or one of its parts (PLUGIN/NAME), against its contract.

    A line a check: the same checks as in a plugin's own tests, on items drawn for the purpose.
    Exits with 1 when one fails.
    """
    from ducho_core.cli.plugin_check import Wanted, check_plugin
    from ducho_core.extraction.request import merge_options

    wanted["options"] = merge_options(wanted["options"], model=model)
    if not check_plugin(get_registry(ctx), Wanted(**wanted), as_json=as_json):
        ctx.exit(1)
