"""Genetic programming over formulas: how they are drawn, recombined, edited and selected.

Operators keep kinds, so that every child is a formula: parts are exchanged for parts of the same kind (strongly typed
genetic programming, Montana 1995). The loop is generational: elites stay, all others are children of tournaments. Each
generation's random stream derives from (seed, generation), so a run that is resumed goes the same way.

deap (1.4.4), the library for this, was tried first. Its generator ends in an error at a kind without leaves (numbers
for each tensor have none), its crossover picks among kinds in an order that depends on memory addresses, so that one
seed gives another result in another process, it draws from Python's global generator, and it evaluates by ``eval``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from nas.core import seeds
from proxies.base import Need
from proxies.expression import ARITHMETIC, LEAVES, Kind, Node
from proxies.expression.language import STATISTICS, TOTALS, TRANSFORMS, Operation

__all__ = ["Answer", "Evolution", "Generation", "Grammar", "best"]

T = TypeVar("T")

_ATTEMPTS = 50  # edits tried for one child
_CHILDREN = 40  # children tried for each place of a generation


@dataclass(frozen=True)
class Grammar:
    """Which formulas are drawn: an arithmetic of sizes and of totals of statistics.

    Attributes:
        leaves: names of the groups of tensors and of the sizes.
        chain: most transforms of a group; costly statistics are of the tensors themselves.
        longest: most leaves and operations of a formula.
    """

    leaves: tuple[str, ...]
    chain: int
    longest: int

    @classmethod
    def of(cls, gives: frozenset[Need], chain: int, longest: int) -> Grammar:
        """Returns the grammar of all leaves that a probe gives."""
        return cls(tuple(name for name, leaf in LEAVES.items() if leaf.needs <= gives), chain, longest)

    def _named(self, kind: Kind) -> list[Node]:
        return [Node(name, kind) for name in self.leaves if LEAVES[name].kind is kind]

    @cached_property
    def sizes(self) -> tuple[Node, ...]:
        """The leaves that are numbers."""
        return tuple(self._named(Kind.NUMBER))

    @cached_property
    def groups(self) -> tuple[Node, ...]:
        """The leaves that are tensors."""
        return tuple(self._named(Kind.TENSORS))

    @cached_property
    def columns(self) -> tuple[Node, ...]:
        """Everything that arithmetic starts from: the sizes, and each total of each statistic of each chain.

        What goes the same way is together, so that a record need not make the tensors of a chain twice.
        """
        found = list(self.sizes)
        for group in self.groups:
            for chain in self._chains(group):
                for statistic in STATISTICS:
                    if chain.arguments and statistic.costly:
                        continue
                    numbers = Node.of(statistic, chain)
                    found += [Node.of(total, numbers) for total in TOTALS]
        return tuple(found)

    def _chains(self, group: Node) -> Iterator[Node]:
        level = [group]
        for length in range(self.chain + 1):
            yield from level
            if length < self.chain:
                level = [Node.of(transform, node) for node in level for transform in TRANSFORMS]

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(column.text for column in self.columns)

    def contains(self, node: Node) -> bool:
        """Returns whether a formula is one of this grammar, and not too long."""
        return node.kind is Kind.NUMBER and node.size <= self.longest and self._made_of_columns(node)

    def _made_of_columns(self, node: Node) -> bool:
        if node.text in self._known:
            return True
        arithmetic = bool(node.arguments) and all(part.kind is Kind.NUMBER for part in node.arguments)
        return arithmetic and all(map(self._made_of_columns, node.arguments))

    def draw(self, rng: np.random.Generator, kind: Kind, levels: int) -> Node:
        """Draws a part of a kind.

        Args:
            levels: most levels of arithmetic in it.
        """
        if kind is Kind.TENSORS:
            node = _pick(self.groups, rng)
            for _ in range(int(rng.integers(self.chain + 1))):
                node = Node.of(_pick(TRANSFORMS, rng), node)
            return node
        if kind is Kind.NUMBERS:
            inner = self.draw(rng, Kind.TENSORS, 0)
            return Node.of(_pick([one for one in STATISTICS if not (inner.arguments and one.costly)], rng), inner)
        if levels > 0 and rng.random() < 0.6:
            chosen = _pick(ARITHMETIC, rng)
            return Node.of(chosen, *(self.draw(rng, part, levels - 1) for part in chosen.takes))
        if not self.groups or rng.random() < 0.15:
            return _pick(self.sizes, rng)
        return Node.of(_pick(TOTALS, rng), self.draw(rng, Kind.NUMBERS, 0))

    def crossed(self, first: Node, second: Node, rng: np.random.Generator) -> Node:
        """Returns the first with one of its parts exchanged for one of the second's of the same kind."""
        path, part = _pick(list(first.parts()), rng)
        fitting = [other for _, other in second.parts() if other.kind is part.kind]
        return first.with_part(path, _pick(fitting, rng)) if fitting else first

    def edited(self, node: Node, rng: np.random.Generator) -> Node:
        """Returns a formula with one part drawn anew, renamed, taken away, or wrapped in arithmetic."""
        path, part = _pick(list(node.parts()), rng)
        edit = int(rng.integers(4))
        if edit == 0:
            return node.with_part(path, self.draw(rng, part.kind, 1))
        if edit == 1:
            return node.with_part(path, self._renamed(part, rng))
        if edit == 2:
            inner = [argument for argument in part.arguments if argument.kind is part.kind]
            return node.with_part(path, _pick(inner, rng)) if inner else node
        if part.kind is Kind.TENSORS:
            return node.with_part(path, Node.of(_pick(TRANSFORMS, rng), part))
        if part.kind is Kind.NUMBERS:
            return node
        chosen = _pick(ARITHMETIC, rng)
        others = [self.draw(rng, kind, 0) for kind in chosen.takes[1:]]
        arguments = [part, *others] if rng.random() < 0.5 else [*others, part]
        return node.with_part(path, Node.of(chosen, *arguments))

    def _renamed(self, part: Node, rng: np.random.Generator) -> Node:
        own = part.operation
        if own is None:
            return _pick(self.groups if part.kind is Kind.TENSORS else self.sizes, rng)
        alike: list[Operation] = [
            one
            for family in (TRANSFORMS, STATISTICS, TOTALS, ARITHMETIC)
            for one in family
            if one.takes == own.takes and one.gives is own.gives
        ]
        return Node.of(_pick(alike, rng), *part.arguments)


def _pick(items: Sequence[T], rng: np.random.Generator) -> T:
    return items[int(rng.integers(len(items)))]


@dataclass(frozen=True)
class Answer:
    """What a formula is worth.

    Attributes:
        fitness: higher is better, None where it was rejected.
        reason: why it was.
        ranks: what stands for the order in which it puts the architectures.
    """

    node: Node
    fitness: float | None
    reason: str = ""
    ranks: str = ""

    @property
    def text(self) -> str:
        """The formula's text."""
        return self.node.text


@dataclass(frozen=True)
class Generation:
    """What came of a generation.

    Attributes:
        number: from 0, which is drawn at random.
        population: its members, best first.
        answers: what was asked for in it, in order, the rejected among them.
    """

    number: int
    population: tuple[Answer, ...]
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Evolution:
    """The loop.

    Attributes:
        answer: what a formula that was not asked for before is worth.
        population, tournament, elites: numbers of formulas.
        crossover: share of the children that are made by crossover; the others are edited.
    """

    grammar: Grammar
    answer: Callable[[Node], Answer]
    seed: int
    population: int
    tournament: int
    elites: int
    crossover: float

    def generations(self, count: int) -> Iterator[Generation]:
        """Yields the random generation and ``count`` further ones; it ends early when nothing new is found."""
        asked: set[str] = set()
        members: tuple[Answer, ...] = ()
        for number in range(count + 1):
            rng = seeds.generator(self.seed, "formulas", number)
            answers: list[Answer] = []
            kept = list(members[: self.elites])
            for _ in range(_CHILDREN * self.population):
                if len(kept) == self.population:
                    break
                child = self._child(members, rng)
                if child is None or child.text in asked:
                    continue
                asked.add(child.text)
                answers.append(self.answer(child))
                if answers[-1].fitness is not None:
                    kept.append(answers[-1])
            if not answers:
                return
            members = tuple(sorted(kept, key=_order))
            yield Generation(number, members, tuple(answers))

    def _child(self, members: Sequence[Answer], rng: np.random.Generator) -> Node | None:
        for _ in range(_ATTEMPTS):
            if not members:
                child = self.grammar.draw(rng, Kind.NUMBER, int(rng.integers(3)))
            elif rng.random() < self.crossover:
                child = self.grammar.crossed(self._parent(members, rng), self._parent(members, rng), rng)
            else:
                child = self.grammar.edited(self._parent(members, rng), rng)
            if self.grammar.contains(child):
                return child
        return None

    def _parent(self, members: Sequence[Answer], rng: np.random.Generator) -> Node:
        drawn = rng.integers(len(members), size=self.tournament)
        return members[int(drawn.min())].node  # they are sorted, best first


def _order(answer: Answer) -> tuple[float, int, str]:
    assert answer.fitness is not None
    return -answer.fitness, answer.node.size, answer.text


def best(generations: Sequence[Generation], count: int) -> list[Answer]:
    """Returns the best formulas of all that were asked for, best first."""
    found = [answer for generation in generations for answer in generation.answers if answer.fitness is not None]
    return sorted(found, key=_order)[:count]
