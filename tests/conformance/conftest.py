"""The suites run many small networks: one thread each is the fastest, and what a run's workers use."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
