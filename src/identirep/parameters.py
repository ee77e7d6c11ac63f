"""Rules of constructor parameters, declared in one table of each estimator and checked by `fit`, all at once.

An estimator has a class attribute ``_parameter_rules``, a dict of name to rule. `parameter_faults` reads it, so that
every message has the same form, and `raise_faults` raises what was found, with the faults of the data, as one error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, Protocol

import numpy as np

from identirep.wording import readable, short

__all__ = ["Choice", "Either", "Fault", "Made", "Number", "Rule", "Sizes", "Texts", "Whole"]
__all__ += ["check_arguments", "parameter_faults", "raise_faults"]

# Faults that one error lists.
_MOST_LISTED = 20


@dataclass(frozen=True)
class Fault:
    """What is wrong with one argument; `of_type` if its type is, rather than its value."""

    message: str
    of_type: bool = False


class Rule(Protocol):
    """What a parameter may be."""

    @property
    def expected(self) -> str:
        """The rule in words."""
        ...

    def takes_type(self, value: Any) -> bool:
        """Whether the type is right."""
        ...

    def accepts(self, value: Any) -> bool:
        """Whether the value is, given a right type."""
        ...


@dataclass(frozen=True)
class Number:
    """A finite real number in an interval; `open_low` and `open_high` leave its ends out."""

    low: float = -np.inf
    high: float = np.inf
    open_low: bool = False
    open_high: bool = False

    @property
    def expected(self) -> str:
        ends = []
        if self.low > -np.inf:
            ends.append(f"above {self.low:g}" if self.open_low else f"at least {self.low:g}")
        if self.high < np.inf:
            ends.append(f"below {self.high:g}" if self.open_high else f"at most {self.high:g}")
        return " ".join(["a number", " and ".join(ends)]).strip()

    def takes_type(self, value: Any) -> bool:
        return isinstance(value, Real) and not isinstance(value, (bool, np.bool_))

    def accepts(self, value: Any) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return bool(np.isfinite(float(value)) and above and below)


@dataclass(frozen=True)
class Whole:
    """An int of at least `low`."""

    low: int = 1

    @property
    def expected(self) -> str:
        return f"an int of at least {self.low}"

    def takes_type(self, value: Any) -> bool:
        return isinstance(value, Integral) and not isinstance(value, (bool, np.bool_))

    def accepts(self, value: Any) -> bool:
        return bool(value >= self.low)


@dataclass(frozen=True)
class Choice:
    """One of some values: texts, None, True, False."""

    options: tuple[Any, ...]

    def __init__(self, *options: Any) -> None:
        object.__setattr__(self, "options", options)

    @property
    def expected(self) -> str:
        return " or ".join(repr(option) for option in self.options)

    def takes_type(self, value: Any) -> bool:
        return any(type(value) is type(option) for option in self.options)

    def accepts(self, value: Any) -> bool:
        return any(type(value) is type(option) and value == option for option in self.options)


@dataclass(frozen=True)
class Sizes:
    """A sequence of ints of at least `low`, maybe empty."""

    low: int = 1

    @property
    def expected(self) -> str:
        return f"a sequence of ints of at least {self.low}"

    def takes_type(self, value: Any) -> bool:
        listed = isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, (str, bytes))
        return listed and all(Whole().takes_type(entry) for entry in value)

    def accepts(self, value: Any) -> bool:
        return all(entry >= self.low for entry in value)


@dataclass(frozen=True)
class Texts:
    """A text, or a sequence of texts, maybe empty."""

    @property
    def expected(self) -> str:
        return "a text or a sequence of texts"

    def takes_type(self, value: Any) -> bool:
        if isinstance(value, str):
            return True
        return isinstance(value, (Sequence, np.ndarray)) and all(isinstance(entry, str) for entry in value)

    def accepts(self, value: Any) -> bool:
        return True


@dataclass(frozen=True)
class Made:
    """An object that has some methods, such as an estimator; `expected` says what it is."""

    expected: str
    methods: tuple[str, ...] = ("__call__",)

    def takes_type(self, value: Any) -> bool:
        # Estimators made of others, such as StackingRegressor, show some of their methods once they are fitted only.
        return all(
            callable(getattr(value, method, None)) or (hasattr(value, "fit") and hasattr(type(value), method))
            for method in self.methods
        )

    def accepts(self, value: Any) -> bool:
        return True


@dataclass(frozen=True)
class Either:
    """Any of several rules."""

    rules: tuple[Rule, ...]

    def __init__(self, *rules: Rule) -> None:
        object.__setattr__(self, "rules", rules)

    @property
    def expected(self) -> str:
        return " or ".join(rule.expected for rule in self.rules)

    def takes_type(self, value: Any) -> bool:
        return any(rule.takes_type(value) for rule in self.rules)

    def accepts(self, value: Any) -> bool:
        return any(rule.takes_type(value) and rule.accepts(value) for rule in self.rules)


def parameter_faults(estimator: Any) -> list[Fault]:
    """List what is wrong with the parameters of an estimator by its table of rules."""
    rules: Mapping[str, Rule] = estimator._parameter_rules
    found = (_fault(name, getattr(estimator, name), rule) for name, rule in rules.items())
    return [fault for fault in found if fault is not None]


def check_arguments(**arguments: tuple[Any, Rule]) -> None:
    """Raise one error that lists the arguments of a call that break their rules, given as ``name=(value, rule)``."""
    found = (_fault(name, value, rule) for name, (value, rule) in arguments.items())
    raise_faults([fault for fault in found if fault is not None])


def _fault(name: str, value: Any, rule: Rule) -> Fault | None:
    if not rule.takes_type(value):
        got = short(repr(value)) if isinstance(value, (str, bool, int, float, type(None))) else type(value).__name__
        return Fault(f"{name} has the wrong type: got {got}, expected {rule.expected}. Change {name}.", of_type=True)
    if not rule.accepts(value):
        return Fault(f"{name} is not valid: got {short(repr(value))}, expected {rule.expected}. Change {name}.")
    return None


def raise_faults(faults: Sequence[Fault | str]) -> None:
    """Raise one error that lists all faults, if any: TypeError if all of them are of types, else ValueError."""
    found = [fault if isinstance(fault, Fault) else Fault(fault) for fault in faults]
    found = [replace(fault, message=readable(fault.message)) for fault in found]
    if not found:
        return
    error = TypeError if all(fault.of_type for fault in found) else ValueError
    if len(found) == 1:
        raise error(found[0].message)
    listed = "\n".join(f"  {i}. {fault.message}" for i, fault in enumerate(found[:_MOST_LISTED], 1))
    rest = len(found) - _MOST_LISTED
    raise error(f"{len(found)} faults:\n{listed}" + (f"\n  And {rest:,} more." if rest > 0 else ""))
