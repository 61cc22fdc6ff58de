"""Settings for tests that compute with torch."""

from __future__ import annotations

import torch

torch.set_num_threads(1)  # tiny models: threads would only wait for each other
