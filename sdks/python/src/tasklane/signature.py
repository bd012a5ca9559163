"""A function's arguments as a payload, and a payload as its arguments."""

from __future__ import annotations

import inspect
from typing import Any, Callable

from .context import CTX


class Unfit(Exception):
    """The payload is not what the function takes."""


class Signature:
    """What a function takes. Parameters are told apart by name; `ctx` is the worker's to give."""

    def __init__(self, function: Callable[..., Any]):
        signature = inspect.signature(function)
        parameters = list(signature.parameters.values())
        for parameter in parameters:
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
                raise TypeError(
                    f"{function.__qualname__}: {parameter} has no name in a payload; a task's parameters go by name"
                )
        self.wants_ctx = any(it.name == "ctx" for it in parameters)
        self.is_async = inspect.iscoroutinefunction(function)
        taken = [it for it in parameters if it.name != "ctx" and it.kind is not it.VAR_KEYWORD]
        self._open = any(it.kind is it.VAR_KEYWORD for it in parameters)
        self._positional = [it.name for it in taken if it.kind is it.POSITIONAL_OR_KEYWORD]
        self._known = frozenset(it.name for it in taken)
        self._needed = frozenset(it.name for it in taken if it.default is it.empty)
        self._only = taken[0].name if len(taken) == 1 and not self._open else None
        self._signature = signature

    def payload(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name. Raises `TypeError` as a call of the function would."""
        payload = {**dict(zip(self._positional, args)), **kwargs} if args else kwargs
        if len(payload) != len(args) + len(kwargs) or not self._fits(payload):
            self._signature.bind(*args, **({"ctx": CTX, **kwargs} if self.wants_ctx else kwargs))
            raise TypeError("ctx is given by the worker, not by whoever enqueues")
        return payload

    def arguments(self, payload: Any) -> dict[str, Any]:
        """The keywords for a payload: an object by parameter name; anything else is the one parameter of a function that
        has one. Raises `Unfit`."""
        if isinstance(payload, dict):
            if self._fits(payload):
                return payload
            missing, unknown = sorted(self._needed - payload.keys()), sorted(payload.keys() - self._known)
            if missing:
                raise Unfit(f"the payload lacks {', '.join(missing)}")
            raise Unfit(f"the payload has {', '.join(unknown)}, which the handler does not take")
        if payload is None and not self._needed:
            return {}
        if self._only is not None:
            return {self._only: payload}
        raise Unfit(f"the payload is no object with {', '.join(sorted(self._known)) or 'no members'}")

    def _fits(self, payload: dict[str, Any]) -> bool:
        names = payload.keys()
        return self._needed <= names and (names <= self._known or (self._open and "ctx" not in names))
