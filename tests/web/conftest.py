from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import scripted  # type: ignore[import-not-found]  # beside this file


@pytest.fixture(scope="session")
def script() -> Any:
    return scripted.ScriptedAssistant()


@pytest.fixture(scope="session")
def address(script: Any) -> Iterator[str]:
    with scripted.serving(script) as url:
        yield url
