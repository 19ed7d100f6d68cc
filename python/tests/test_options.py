"""The package's keywords follow the library's table of options."""

import typing
from typing import Any

from tercet import _tercet
from tercet.machine import LITESPARK_MODES, MachineOptions
from tercet.options import Options


def literals(annotation: Any) -> list[str]:
    """Returns the values of every ``Literal`` inside an annotation."""
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    return [value for inner in typing.get_args(annotation) for value in literals(inner)]


def test_every_option_is_a_keyword_with_the_same_values() -> None:
    machine = typing.get_type_hints(MachineOptions)
    for name, values, _ in _tercet.options():
        if name in machine:
            found = [value for value in literals(machine[name]) if value not in LITESPARK_MODES]
            # The ISA is a plain string, because its names depend on the architecture.
            assert found == values or name == "isa", name
        else:
            assert name in Options.__annotations__, name


def test_no_keyword_of_the_machine_is_missing_in_the_table() -> None:
    known = {name for name, _, _ in _tercet.options()}
    assert set(MachineOptions.__annotations__) <= known
