"""Gradio imported in half the time: without what it does there for its own developers alone.

Each of its 81 component classes, while it is made, has its source parsed and a stub file for
editors rendered and compared with the one beside it, on every start. That is nearly half of the
whole import, and writes into the installation. Its own MCP server, which the page does not use
(:mod:`citewise.web.mcp_door` does), imports the ``mcp`` packages wherever they are installed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_STUBS_MODULE, _STUBS_FUNCTION = "gradio.component_meta", "create_or_modify_pyi"
_UNUSED = "mcp"


class _Lean(MetaPathFinder):
    """Finds what is imported as ever, but for the two things of the module's docstring."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """The spec of the one module that is changed; None leaves the rest to others."""
        if fullname == _UNUSED:
            raise ModuleNotFoundError("not needed by the page", name=_UNUSED)
        if fullname != _STUBS_MODULE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def run_without_stubs(module: ModuleType) -> None:
            run(module)
            # Another version may have no such function; then there is nothing to spare.
            if hasattr(module, _STUBS_FUNCTION):
                setattr(module, _STUBS_FUNCTION, lambda *_: None)

        spec.loader.exec_module = run_without_stubs  # type: ignore[method-assign]
        return spec


@contextmanager
def lean_import() -> Iterator[None]:
    """While this is open, ``import gradio`` spares itself the work that no page needs."""
    finder = _Lean()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
