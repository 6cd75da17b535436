"""zeronas: training-free search for small language models, checked against ground truth.

Importing this package is cheap: nothing here imports torch.
"""

__version__ = "0.1.0"
__all__ = ["__version__"]
