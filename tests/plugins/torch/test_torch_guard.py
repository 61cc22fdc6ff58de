"""torchvision beside a torch without CUDA, and imports that stay light."""

from __future__ import annotations

import subprocess
import sys


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_timm_and_transforms_work_after_the_guard() -> None:
    code = """
import ducho_torch
ducho_torch.ensure_torchvision()
ducho_torch.ensure_torchvision()
import timm, torch
from torchvision.transforms import Resize
from PIL import Image
assert Resize(8)(Image.new("RGB", (16, 16))).size == (8, 8)
print(tuple(timm.create_model("test_vit").eval()(torch.zeros(1, 3, 160, 160)).shape))
"""
    assert run(code) == "(1, 1000)"


def test_importing_the_library_imports_no_torch() -> None:
    code = "import sys, ducho_torch; print('torch' in sys.modules, 'numpy' in sys.modules)"
    assert run(code) == "False False"


def test_every_public_name_is_there() -> None:
    code = """
import ducho_torch
print([name for name in ducho_torch.__all__ if getattr(ducho_torch, name, None) is None])
"""
    assert run(code) == "[]"
