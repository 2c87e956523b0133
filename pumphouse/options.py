"""An option is declared once, as a field of a frozen dataclass. What oslo.config needs is derived from it."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from oslo_config import cfg

_MAKERS: Final[Mapping[type[Any], Callable[..., cfg.Opt]]] = MappingProxyType(
    {bool: cfg.BoolOpt, float: cfg.FloatOpt, int: cfg.IntOpt, str: cfg.StrOpt}
)


def option(default: Any, text: str, *, sample: str | None = None, **how: Any) -> Any:
    """A field that is an option.

    :param default: its value, or a function that returns it.
    :param text: the help, in full sentences.
    :param sample: what the sample file shows instead of a default that differs between machines.
    :param how: what oslo.config's option takes besides, such as ``min`` or ``secret``.
    """
    metadata = {"help": text, "how": how, "sample": sample}
    shown = not how.get("secret", False)
    if callable(default):
        return dataclasses.field(default_factory=default, repr=shown, metadata=metadata)
    return dataclasses.field(default=default, repr=shown, metadata=metadata)


def options_of(kind: type[Any]) -> list[cfg.Opt]:
    """The options of a group, derived from its fields."""
    types = typing.get_type_hints(kind)
    return [_option(one, types[one.name]) for one in dataclasses.fields(kind)]


def _option(declared: dataclasses.Field[Any], type_: type[Any]) -> cfg.Opt:
    default = (
        declared.default
        if declared.default_factory is dataclasses.MISSING
        # A dollar sign in a path would be taken for the name of another option.
        else declared.default_factory().replace("$", "$$")
    )
    how = {"default": default, "help": declared.metadata["help"], **declared.metadata["how"]}
    if declared.metadata["sample"]:
        how["sample_default"] = declared.metadata["sample"]
    if typing.get_origin(type_) is tuple:
        return cfg.ListOpt(declared.name, **how | {"default": list(how["default"])})
    if issubclass(type_, StrEnum):
        how["choices"] = [(str(one), text) for one, text in how["choices"].items()]
        return cfg.StrOpt(declared.name, **how)
    return _MAKERS[type_](declared.name, **how)


def values_of(options: cfg.ConfigOpts, group: str, kind: type[Any]) -> Any:
    """A group as its dataclass."""
    types = typing.get_type_hints(kind)
    return kind(**{one.name: types[one.name](options[group][one.name]) for one in dataclasses.fields(kind)})
