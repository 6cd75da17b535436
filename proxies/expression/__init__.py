"""Formulas over the statistics of a record: a small typed language, and any formula of it as a proxy.

Source of the idea: LPZero (Dong et al. 2024, arXiv 2410.04808) and EZNAS (Akhauri et al. 2022, arXiv 2209.07413), which
find proxies by genetic programming over such expressions. The grammar here is this project's own.
"""

from proxies.expression.language import ARITHMETIC, OPERATIONS, Kind, Node
from proxies.expression.leaves import LEAVES
from proxies.expression.parser import parse
from proxies.expression.proxy import Expression

__all__ = ["ARITHMETIC", "LEAVES", "OPERATIONS", "Expression", "Kind", "Node", "parse"]
