"""``ducho lvlm``. Imports click, and the rest when it is run."""

from __future__ import annotations

import click

from ducho_lvlm.prompt_command import prompt
from ducho_lvlm.slots.command import slots


@click.group()
def lvlm() -> None:
    """Work with prompts and descriptions of vision-language models."""


lvlm.add_command(prompt)
lvlm.add_command(slots)
