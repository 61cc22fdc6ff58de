"""What the command line imports, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

HEAVY = ("numpy", "pyarrow", "msgspec", "pluggy", "rich", "torch", "yaml", "PIL")

IMPORTED = """
    import sys
    from ducho_core.cli import main
    try:
        main({arguments!r}, prog_name="ducho")
    except SystemExit as end:
        assert end.code in (0, None), end.code
    heavy = [name for name in {heavy!r} if name in sys.modules]
    extra = [
        name
        for name in sys.modules
        if name.partition(".")[0] not in sys.stdlib_module_names
        and name.partition(".")[0] not in ("ducho_core", "click", *before)
    ]
    assert not heavy, heavy
    assert not extra, extra
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["plugins", "list"]])
def test_only_click_and_the_standard_library_are_imported(plugin, python, arguments):
    plugin("good")
    code = "import sys; before = [n.partition('.')[0] for n in sys.modules]" + IMPORTED.format(
        arguments=arguments, heavy=HEAVY
    ).replace("\n    ", "\n")
    result = python(code)
    assert result.returncode == 0, result.stderr
    assert result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["plugins", "list"],
        ["plugins", "list", "--json"],
        ["plugins", "show", "core"],
        ["plugins", "show", "core/hash"],
        ["plugins", "--help"],
    ],
)
def test_these_work_with_every_plugin_broken(plugin, install, ducho, arguments):
    plugin("bad", "raise RuntimeError('boom')")
    plugin("worse", "import absent_backend")
    install("ducho-a", plugins={"twin": "a_mod"})
    install("ducho-b", plugins={"twin": "b_mod", "odd name": "..."})
    install("ducho-c", commands={"hello": "nothing_here:x"})
    result = ducho(*arguments)
    assert result.exit_code == 0, result.output
    assert "Traceback" not in result.output


def test_no_plugins_leaves_the_built_in_ones(plugin, ducho):
    plugin("good")
    assert ducho("--no-plugins", "plugins", "show", "core/hash").exit_code == 0
    off = ducho("--no-plugins", "plugins", "show", "good")
    assert off.exit_code == 2
    assert "switched off by --no-plugins" in off.stderr


def test_debug_shows_the_traceback_of_an_error(plugin, ducho):
    plugin("bad", "raise RuntimeError('boom')")
    plain = ducho("plugins", "show", "bad")
    assert plain.exit_code == 1
    assert plain.stderr.startswith("Error: plugin 'bad' (ducho-bad 1.0) fails")
    assert len(plain.stderr.splitlines()) == 1
    debug = ducho("--debug", "plugins", "show", "bad")
    assert debug.exit_code == 1
    assert "raise RuntimeError('boom')" in debug.stderr
    assert debug.stderr.splitlines()[-1] == plain.stderr.strip()


def test_an_error_keeps_its_lines_as_they_are(install, ducho):
    install(
        "ducho-hi",
        commands={"hello": "hi_cli:hello"},
        modules={
            "hi_cli": """
    import click
    from ducho_core import UsageError
    @click.command()
    def hello():
        raise UsageError("say:\\n  ducho extract " + "x" * 200)
"""
        },
    )
    result = ducho("hello")
    assert result.exit_code == 2
    assert result.stderr == f"Error: say:\n  ducho extract {'x' * 200}\n"


def test_a_reader_that_leaves_early_ends_the_command_quietly(site):
    code = """
import sys
from ducho_core.cli import main
sys.stdin.read()
main(["plugins", "list"], prog_name="ducho")
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()
    process.stdin.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=60) == 141


def test_an_interrupt_ends_with_130(install, site):
    install(
        "ducho-hi",
        commands={"hello": "hi_cli:hello"},
        modules={
            "hi_cli": """
    import click, time
    @click.command()
    def hello():
        click.echo("ready")
        time.sleep(60)
"""
        },
    )
    # Where the tests run in the background of a shell, interrupts are ignored from the start.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heed}; from ducho_core.cli import main; main(['hello'])"
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr == "Interrupted.\n"
