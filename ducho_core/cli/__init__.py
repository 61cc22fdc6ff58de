"""The command ``ducho``. Importing this imports click and ``importlib.metadata``, no more."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ducho_core import __version__
from ducho_core.cli import commands
from ducho_core.cli.output import abandon_stdout, say
from ducho_core.errors import DuchoError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ducho_core.distributions import Claim

EXIT_INTERRUPTED = 130
EXIT_STDOUT_CLOSED = 141

_THIRD_PARTY = "ducho_core.commands"


class _Main(click.Group):
    """A group that imports a command only when it is run, and the one place errors end in."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*commands.BUILT_IN, *sorted(_third_party(ctx))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in commands.BUILT_IN:
            return commands.import_built_in(cmd_name)
        several = _third_party(ctx).get(cmd_name)
        return commands.import_third_party(cmd_name, several) if several else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, _short_help(ctx, name)) for name in self.list_commands(ctx)]
            )

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        items = [CompletionItem(name, help=_short_help(ctx, name)) for name in names]
        return items + click.Command.shell_complete(self, ctx, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        command = self.get_command(ctx, args[0])
        if command is not None:
            return args[0], command, args[1:]
        if ctx.resilient_parsing:
            return None, None, args[1:]
        near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return ctx.fail(f"there is no command {args[0]!r}{hint}")

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DuchoError as error:
            _end(ctx, error, f"Error: {error}", error.exit_code)
        except (KeyboardInterrupt, click.Abort) as error:
            # A signal other than that of Ctrl-C is in the error.
            code = next((128 + one for one in error.args if isinstance(one, int)), None)
            _end(ctx, error, "Interrupted.", code or EXIT_INTERRUPTED)
        except BrokenPipeError:
            abandon_stdout()
            ctx.exit(EXIT_STDOUT_CLOSED)


def _end(ctx: click.Context, error: BaseException, message: str, exit_code: int) -> NoReturn:
    if ctx.params.get("debug"):
        import traceback

        say("".join(traceback.format_exception(error)).rstrip())
    say(message)
    ctx.exit(exit_code)


def _third_party(ctx: click.Context) -> dict[str, list[Claim]]:
    if _THIRD_PARTY not in ctx.meta:
        no_plugins = bool(ctx.params.get("no_plugins"))
        ctx.meta[_THIRD_PARTY] = commands.third_party(no_plugins=no_plugins)
    found: dict[str, list[Claim]] = ctx.meta[_THIRD_PARTY]
    return found


def _short_help(ctx: click.Context, name: str) -> str:
    if name in commands.BUILT_IN:
        return commands.BUILT_IN[name][1]
    return commands.short_help(_third_party(ctx)[name])


@click.group(cls=_Main, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ducho", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option(
    "--no-plugins", is_flag=True, is_eager=True, help="Use nothing but what ducho-core brings."
)
def main(**_: bool) -> None:
    """Features for recommender systems from images, texts and sounds.

    \b
    ducho extract items.tsv --plugin timm --image 'images/{item_id}.jpg'
    ducho plugins list
    """
