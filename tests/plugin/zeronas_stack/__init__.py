"""A search space of another package: stacks of one to four of torch's own recurrent layers.

Importing it, as the entry point ``zeronas`` does, registers the space, its benchmark and a searcher.
"""

from nas.search import SEARCHERS
from nas.truth.benchmarks import BENCHMARKS
from spaces import SPACES
from zeronas_stack.searcher import Greedy
from zeronas_stack.space import StackSpace
from zeronas_stack.table import StackTable

#: the package of its configurations, which the command line looks through after zeronas's own
CONFIGURATION = "zeronas_stack.conf"

SPACES.register(StackSpace.name)(StackSpace)
BENCHMARKS.register(StackTable.name)(StackTable)
SEARCHERS.register(Greedy.name)(Greedy)
