"""``python -m ducho_core`` is the command ``ducho``."""

from __future__ import annotations

from ducho_core.cli import main

main()
