from __future__ import annotations

import json
import stat
import threading
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from citewise.errors import UsageError, UsersError
from citewise.web.auth import IDLE_S, LONGEST_S, Attempts, Sessions
from citewise.web.users import Users

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def users(tmp_path: Path) -> Users:
    made = Users(tmp_path / "users.json", CHEAP)
    made.add("Ada", "correct horse")
    return made


def test_only_the_right_password_opens(users: Users) -> None:
    assert users.password_is("ada", "correct horse")
    assert users.password_is(" ADA ", "correct horse")
    assert not users.password_is("ada", "correct hors")
    assert not users.password_is("bob", "correct horse")
    assert not users.password_is("ada", "\ud800")
    assert not users.password_is("ada", "x" * 10_000_000)


def test_the_file_holds_no_secret_and_is_its_owners_alone(users: Users) -> None:
    token = users.make_token("ada")
    text = users.path.read_text()
    assert "correct horse" not in text
    assert token not in text
    assert token[3:] not in text
    assert "$argon2id$" in text
    assert stat.S_IMODE(users.path.stat().st_mode) == 0o600


def test_a_changed_file_is_seen_by_another_reader(users: Users) -> None:
    reader = Users(users.path, CHEAP)
    assert reader.names() == ("ada",)
    token = users.make_token("ada")
    users.add("bob", "battery staple")
    assert reader.names() == ("ada", "bob")
    assert reader.owner_of(token) == "ada"
    assert reader.owner_of(token[:-1]) is None
    assert users.revoke("ada") == 1
    assert reader.owner_of(token) is None
    users.remove("ada")
    assert not reader.password_is("ada", "correct horse")


@pytest.mark.parametrize("name", ["", "a b", "../x", "ä", "a" * 65, "a\nb", "-a", "<b>"])
def test_a_name_that_cannot_be_is_refused(users: Users, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a user's name"):
        users.add(name, "correct horse")


@pytest.mark.parametrize("password", ["", "7 chars", "x" * 1001])
def test_a_password_that_cannot_be_is_refused_without_being_shown(
    users: Users, password: str
) -> None:
    with pytest.raises(UsageError, match="8 to 1000 characters") as caught:
        users.add("bob", password)
    assert not password or password not in str(caught.value)
    assert users.names() == ("ada",)


def test_a_user_is_added_once(users: Users) -> None:
    with pytest.raises(UsersError, match="already has a user ada"):
        users.add("ADA", "another one")
    assert users.password_is("ada", "correct horse")
    with pytest.raises(UsersError, match="no user bob"):
        users.set_password("bob", "battery staple")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"users": 3}', '{"users": {"ada": {}}}', "\xff"])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "users.json"
    path.write_text(text, "latin-1")
    with pytest.raises(UsersError, match="not a file of users"):
        Users(path, CHEAP).add("ada", "correct horse")
    assert path.read_text("latin-1") == text


def test_users_added_at_once_are_all_kept(users: Users) -> None:
    threads = [
        threading.Thread(target=Users(users.path, CHEAP).add, args=(f"user{n}", "correct horse"))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(users.names()) == 13
    json.loads(users.path.read_text())


def test_a_login_ends_by_itself(users: Users) -> None:
    clock = Clock()
    sessions = Sessions(users, clock=clock)
    word = sessions.open("ada")
    assert sessions.user(word) == "ada"
    clock.now += IDLE_S - 1
    assert sessions.user(word) == "ada"
    clock.now += IDLE_S - 1
    assert sessions.user(word) == "ada"
    clock.now += IDLE_S + 1
    assert sessions.user(word) is None
    word = sessions.open("ada")
    end = clock.now + LONGEST_S
    while clock.now < end - IDLE_S / 2:
        assert sessions.user(word) == "ada"
        clock.now += IDLE_S / 2
    clock.now += IDLE_S / 2
    assert sessions.user(word) is None
    assert len(sessions) == 0


def test_a_login_ends_with_its_password_and_its_user(users: Users) -> None:
    sessions = Sessions(users)
    word = sessions.open("ada")
    users.set_password("ada", "battery staple")
    assert sessions.user(word) is None
    word = sessions.open("ada")
    assert sessions.user(word) == "ada"
    users.remove("ada")
    assert sessions.user(word) is None


def test_a_planted_word_is_no_login(users: Users) -> None:
    sessions = Sessions(users)
    assert sessions.user("planted") is None
    assert sessions.open("ada") != sessions.open("ada")


def test_logins_are_bounded_and_the_unused_go_first(users: Users) -> None:
    sessions = Sessions(users, most=3)
    first, second, *_ = [sessions.open("ada") for _ in range(3)]
    assert sessions.user(first)
    sessions.open("ada")
    assert len(sessions) == 3
    assert sessions.user(first)
    assert sessions.user(second) is None


def test_wrong_passwords_wait_ever_longer() -> None:
    clock = Clock()
    attempts = Attempts(clock=clock)
    waits = []
    for _ in range(14):
        while (wait := attempts.begin("ada", "10.0.0.1")) > 0:
            waits.append(wait)
            clock.now += wait
    assert waits[:5] == [1, 2, 4, 8, 16]
    assert max(waits) == 300
    # nobody else is slowed by it, and Ada only by the address that failed
    assert attempts.begin("bob", "10.0.0.1") == 0
    assert attempts.begin("ada", "10.0.0.2") == 0


def test_the_right_password_forgets_the_wrong_ones() -> None:
    attempts = Attempts(clock=Clock())
    for _ in range(20):
        assert attempts.begin("ada", "10.0.0.1") == 0
        attempts.passed("ada", "10.0.0.1")


def test_many_names_from_one_address_are_slowed() -> None:
    attempts = Attempts(clock=Clock())
    tried = sum(attempts.begin(f"user{n}", "10.0.0.1") == 0 for n in range(1000))
    assert tried == 30
    # one person's IPv6 addresses count as one
    tried = sum(attempts.begin(f"user{n}", f"2001:db8::{n:x}") == 0 for n in range(1000))
    assert tried == 30


def test_one_name_from_many_addresses_is_slowed_but_never_shut_out() -> None:
    clock = Clock()
    attempts = Attempts(clock=clock)
    for n in range(10_000):
        attempts.begin("ada", f"10.{n // 250}.{n % 250}.1")
    assert 0 < attempts.begin("ada", "192.0.2.1") <= 30
    clock.now += 31
    assert attempts.begin("ada", "192.0.2.1") == 0


def test_what_is_remembered_of_wrong_passwords_is_bounded() -> None:
    attempts = Attempts(clock=Clock(), most=100)
    for n in range(1000):
        attempts.begin("x" * n, f"10.{n // 250}.{n % 250}.1")
    assert len(attempts) == 100
