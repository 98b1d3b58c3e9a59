from __future__ import annotations

from pathlib import Path

import pytest

from citewise.config import Config
from citewise.errors import UsageError
from citewise.types import Price, Usage

FILE = 'library = "/from/file"\nbackend = "openai:from-file"\n'
ENV = {"CITEWISE_LIBRARY": "/from/env", "CITEWISE_BACKEND": "openai:from-env"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    return path


def test_arguments_win_over_the_environment_and_that_over_the_file(file: Path) -> None:
    absent = file.with_name("absent.toml")
    asked = Config.load(library="/from/arg", backend="openai:from-arg", env=ENV, file=file)
    assert asked == Config(Path("/from/arg"), "openai:from-arg")
    assert Config.load(env=ENV, file=file) == Config(Path("/from/env"), "openai:from-env")
    assert Config.load(env={}, file=file) == Config(Path("/from/file"), "openai:from-file")
    assert Config.load(env={}, file=absent).backend == "extractive"
    assert Config.load(env=dict.fromkeys(ENV, ""), file=file).backend == "openai:from-file"


def test_the_home_folder_is_understood(tmp_path: Path) -> None:
    chosen = Config.load(library="~/papers", env={}, file=tmp_path / "absent.toml")
    assert chosen.library == Path.home() / "papers"


def test_without_any_setting_the_library_is_in_the_user_s_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    chosen = Config.load(env={}, file=tmp_path / "absent.toml").library
    assert chosen.name == "library"
    assert not chosen.exists(), "to read a setting makes nothing"


PRICES = """[prices."openai:small"]
prompt = 0.15
completion = 0.6
currency = "USD"
"""


def test_what_a_model_costs_is_said_by_its_user_alone(file: Path) -> None:
    assert Config.load(env={}, file=file).prices == {}
    file.write_text(FILE + PRICES)
    assert Config.load(env={}, file=file).prices == {"openai:small": Price(0.15, 0.6, "USD")}


def test_the_page_s_further_backends_are_a_list(file: Path) -> None:
    file.write_text('backends = ["openai:one", "extractive"]\n')
    assert Config.load(env={}, file=file).backends == ("openai:one", "extractive")
    file.write_text('backends = "openai:one"\n')
    with pytest.raises(UsageError, match="list"):
        Config.load(env={}, file=file)


def test_the_cost_by_hand() -> None:
    price = Price(2.0, 10.0)
    one = price.paid(Usage(1000, 100, 1))
    assert one.cost == pytest.approx(0.003)
    assert (one + one + Usage()).cost == pytest.approx(0.006)
    # A server that does not count its tokens leaves the whole unknown.
    assert (one + price.paid(Usage(calls=1))).cost is None
    assert Usage(calls=1).to_dict()["cost"] is None
    assert Usage().to_dict()["cost"] == 0.0


def test_a_saved_usage_comes_back() -> None:
    for usage in (Usage(), Usage(calls=1), Usage(7, 5, 2), Usage(7, 5, 2, 0.001)):
        assert Usage.from_dict(usage.to_dict()) == usage
    old = {"prompt_tokens": 7, "completion_tokens": 5, "calls": 2}
    assert Usage.from_dict(old) == Usage(7, 5, 2)


@pytest.mark.parametrize(
    "content",
    [
        b"library = ",
        b"\xff\xfe",
        b"colour = 'red'\n",
        b"library = 3\n",
        b"[library]\nx = 1\n",
        b"prices = 3\n",
        b"[prices]\na = 3\n",
        b"[prices.a]\nprompt = 1\n",
        b"[prices.a]\nprompt = 1\ncompletion = -1\n",
        b"[prices.a]\nprompt = 1\ncompletion = '2'\n",
        b"[prices.a]\nprompt = 1\ncompletion = 2\ncurrency = 3\n",
        b"[prices.a]\nprompt = 1\ncompletion = 2\nper = 1000\n",
    ],
)
def test_a_faulty_file_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(content)
    with pytest.raises(UsageError, match=r"config\.toml"):
        Config.load(env={}, file=tmp_path / "config.toml")


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=tmp_path.name):
        Config.load(env={}, file=tmp_path)


def test_the_limits_of_a_model_s_server_come_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[model]\nsilence_s = 90\nmax_tokens = 4000\n")
    found = Config.load(env={}, file=path).model
    assert (found.silence_s, found.max_tokens, found.total_s) == (90, 4000, 120.0)


@pytest.mark.parametrize(
    "line", ["silence_s = 0", "total_s = nan", "retries = 1.5", 'max_tokens = "many"', "speed = 1"]
)
def test_a_limit_that_makes_no_sense_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f"[model]\n{line}\n")
    with pytest.raises(UsageError, match=line.split()[0] if "speed" not in line else "may set"):
        Config.load(env={}, file=path)
