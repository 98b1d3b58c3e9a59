"""Ceilings of what a model's server may take."""

from __future__ import annotations

from dataclasses import dataclass

from citewise.errors import UsageError


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much an answer of a model's server may take."""

    connect_s: float = 5.0
    """Seconds until a connection stands."""
    silence_s: float = 30.0
    """Seconds until the first piece of the answer, and between two pieces."""
    total_s: float = 120.0
    """Seconds for the whole answer, retries included; passed by one silence at most."""
    retries: int = 3
    """Further attempts after 429, 5xx or a broken connection, before the first piece."""
    retry_wait_s: float = 20.0
    """Longest wait before an attempt; a server that asks for more is not waited for."""
    max_bytes: int = 16 * 1024 * 1024
    """Size of a response, unpacked, at which it is stopped."""
    max_tokens: int = 0
    """Tokens of a reply; 0: as many as effort and step allow. Models that think need more."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value, least = getattr(self, name), 0 if name in ("retries", "max_tokens") else 1e-3
            whole = name in ("retries", "max_bytes", "max_tokens")
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                kind = "a whole number" if whole else "a number"
                raise UsageError(f"The limit {name} is {value!r}; it must be {kind}.")
            if not least <= value < float("inf"):
                raise UsageError(
                    f"The limit {name} is {value!r}; it must be finite, {least:g} or more."
                )
