"""Start-up of ``ducho --help``, against bare click with and without a scan of entry points.

Every run is a fresh interpreter that runs a script, as a console script does.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from _common import Row, arguments, child, interleave, report

OURS = "import sys\nfrom ducho_core.cli import main\nsys.exit(main())\n"

BARE = """
import click

@click.group()
@click.version_option("1.0")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug):
    "Features for recommender systems."

@main.command()
def extract():
    "Extract features into a store."

@main.command()
def neighbours():
    "Show the items nearest to some."

@main.command()
def plugins():
    "List, explain and check plugins."

@main.command()
def run():
    "Carry out the extractions of a recipe."

@main.command()
def store():
    "List, show and verify feature sets."

main()
"""

SCAN = """
from importlib.metadata import entry_points

found = [(one.name, one.value, one.dist.name, one.dist.version)
         for one in entry_points(group="ducho")]
"""

GOAL = 1.5


def main() -> None:
    """Measure and print."""
    args = arguments("start-up of ducho --help, against a bare click program")
    rounds = 5 if args.quick else max(args.rounds, 25)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        commands: dict[str, list[str]] = {}
        for name, text in {"ducho": OURS, "scan": SCAN + BARE, "click": BARE}.items():
            script = Path(folder) / f"{name}_program.py"
            script.write_text(text, "utf-8")
            commands[name] = [sys.executable, str(script), "--help"]
        # CPU time is the figure to trust where the machine has other work.
        for figure in ("seconds", "cpu"):
            measured = interleave(
                {
                    name: lambda command=command, figure=figure: getattr(child(command), figure)
                    for name, command in commands.items()
                },
                rounds=rounds,
                title=f"startup, {figure}",
            )
            what = "wall" if figure == "seconds" else "CPU"
            for peer, words, goal in (
                ("scan", "click + entry points", GOAL),
                ("click", "click alone", None),
            ):
                name = f"ducho --help against {words}, {what}"
                rows.append(measured.row(name, "ducho", peer, goal=goal, higher_is_better=False))
    report("startup", rows, args)


if __name__ == "__main__":
    main()
