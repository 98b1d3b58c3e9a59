"""The people who may use a served page: a file of names with hashed passwords and tokens.

The file is JSON, readable by its owner alone, and replaced as a whole at every change, so that a
running server can read it again at any time and sees a new user, a changed password or a removed
user at the next request.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from filelock import FileLock

from citewise.errors import UsageError, UsersError

SHORTEST_PASSWORD = 8
"""Characters; the least that NIST SP 800-63B allows."""
LONGEST_PASSWORD = 1_000
"""Characters; a longer one is refused unread, for hashing it would cost too much."""
TOKEN_MARK = "cw_"
"""How every token starts, so that one is recognised where it should not lie."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")


@dataclass(frozen=True, slots=True)
class _User:
    password: str
    """As argon2 writes it, with its parameters and salt."""
    tokens: Mapping[str, str] = field(default_factory=dict)
    """Hex SHA-256 of each token, and the day it was made."""


def tidy_name(name: str) -> str:
    """The name as it is kept: lower case, without blanks around it."""
    return name.strip().lower()


class Users:
    """The users of one file. Safe to use from several threads and processes.

    A password is kept as argon2id with the library's default cost (RFC 9106, low memory). A token
    has 256 random bits, which no guessing reaches, so its plain SHA-256 is kept.
    """

    def __init__(self, path: Path, hasher: PasswordHasher | None = None) -> None:
        """``hasher`` decides what a password costs; tests take a cheap one."""
        self.path = path
        self._hasher = hasher or PasswordHasher()
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._users: Mapping[str, _User] = {}
        self._owners: Mapping[str, str] = {}
        self._nobody = ""

    # -- asking ------------------------------------------------------------------------------

    def names(self) -> tuple[str, ...]:
        """All users, sorted. Raises UsersError where the file cannot be read."""
        return tuple(sorted(self._current()[0]))

    def tokens(self, name: str) -> int:
        """How many tokens a user has. Raises UsersError for an unknown one."""
        return len(self._known(name).tokens)

    def password_is(self, name: str, password: str) -> bool:
        """Whether this is the user's password; an unknown name takes as long as a known one."""
        if len(password) > LONGEST_PASSWORD:
            return False
        user = self._current()[0].get(tidy_name(name))
        with self._lock:
            if not self._nobody:
                self._nobody = self._hasher.hash(secrets.token_hex())
        try:
            return (
                self._hasher.verify(user.password if user else self._nobody, password)
                and user is not None
            )
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return False

    def owner_of(self, token: str) -> str | None:
        """Whose token this is, if anybody's."""
        if not token.startswith(TOKEN_MARK):
            return None
        return self._current()[1].get(_digest(token))

    def mark_of(self, name: str) -> str | None:
        """Something that changes with the user's password; None for an unknown user."""
        user = self._current()[0].get(name)
        return _digest(user.password) if user else None

    # -- changing ----------------------------------------------------------------------------

    def add(self, name: str, password: str) -> str:
        """Add a user, creating the file where absent; returns the name as kept.

        Raises UsersError where the name is taken, UsageError for a name or password that cannot be.
        """
        name = tidy_name(name)
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} cannot be a user's name; take up to 64 of a-z, 0-9 and . _ @ -, "
                "the first a letter or digit."
            )
        hashed = self._hashed(password)
        with self._changing() as users:
            if name in users:
                raise UsersError(
                    f"{self.path} already has a user {name}; "
                    f"`citewise users password {name}` changes the password."
                )
            users[name] = _User(hashed)
        return name

    def set_password(self, name: str, password: str) -> None:
        """Change a password, which ends the user's logins. Raises as ``add``."""
        self._known(name)
        hashed = self._hashed(password)
        with self._changing() as users:
            users[tidy_name(name)] = replace(self._known(name), password=hashed)

    def make_token(self, name: str) -> str:
        """A new token for the user's programs; it is kept hashed, so nobody can read it again."""
        token = TOKEN_MARK + secrets.token_urlsafe(32)
        with self._changing() as users:
            user = self._known(name)
            made = datetime.now(UTC).date().isoformat()
            users[tidy_name(name)] = replace(user, tokens={**user.tokens, _digest(token): made})
        return token

    def revoke(self, name: str) -> int:
        """Make all the user's tokens worthless; returns how many there were."""
        with self._changing() as users:
            user = self._known(name)
            users[tidy_name(name)] = replace(user, tokens={})
        return len(user.tokens)

    def remove(self, name: str) -> None:
        """Remove a user with all tokens, which ends the user's logins."""
        with self._changing() as users:
            self._known(name)
            del users[tidy_name(name)]

    # -- the file ----------------------------------------------------------------------------

    def _hashed(self, password: str) -> str:
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise UsageError(
                f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters; "
                f"this one has {len(password)}."
            )
        try:
            return self._hasher.hash(password)
        except UnicodeEncodeError as error:
            raise UsageError("The password holds bytes that are no text.") from error

    def _known(self, name: str) -> _User:
        user = self._current()[0].get(tidy_name(name))
        if user is None:
            raise UsersError(
                f"{self.path} has no user {tidy_name(name)}; `citewise users list` names them, "
                "`citewise users add NAME` adds one."
            )
        return user

    def _current(self) -> tuple[Mapping[str, _User], Mapping[str, str]]:
        """Users by name and owners by token, read again when the file has changed."""
        try:
            state = self.path.stat()
        except FileNotFoundError as error:
            raise UsersError(
                f"There is no file of users at {self.path}; "
                f"`citewise users add NAME --auth {self.path}` makes one."
            ) from error
        except OSError as error:
            raise UsersError(f"{self.path} cannot be read: {error.strerror}.") from error
        seen = (state.st_mtime_ns, state.st_size, state.st_ino)
        with self._lock:
            if seen != self._seen:
                self._users = _read(self.path)
                self._owners = {
                    token: name for name, user in self._users.items() for token in user.tokens
                }
                self._seen = seen
            return self._users, self._owners

    @contextmanager
    def _changing(self) -> Iterator[dict[str, _User]]:
        """Yield the users to be altered; afterwards they replace the file as a whole."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock", timeout=30):
                users = _read(self.path) if self.path.exists() else {}
                yield users
                _write(self.path, users)
        except OSError as error:
            raise UsersError(f"{self.path} cannot be changed: {error}.") from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _read(path: Path) -> dict[str, _User]:
    try:
        content: Any = json.loads(path.read_text("utf-8"))
        return {
            str(name): _User(
                str(user["password"]), {str(k): str(v) for k, v in user["tokens"].items()}
            )
            for name, user in content["users"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsersError(
            f"{path} is not a file of users ({error!r}); make one with "
            "`citewise users add NAME --auth FILE`."
        ) from error


def _write(path: Path, users: Mapping[str, _User]) -> None:
    content = {
        "users": {
            name: {"password": user.password, "tokens": dict(user.tokens)}
            for name, user in sorted(users.items())
        }
    }
    # mkstemp makes it readable by its owner alone.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
