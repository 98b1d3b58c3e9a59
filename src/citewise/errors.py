"""Everything that citewise raises on purpose.

CitewiseError
├── UsageError            the call itself is wrong (exit status 2)
│   └── UnknownBackendError
├── FetchError            a service does not give papers
├── LibraryError          the library folder cannot be used
│   ├── NotALibraryError
│   ├── LibraryLockedError
│   ├── PaperNotFoundError
│   ├── VectorsAwayError  the vectors are on a server that does not answer; words still work
│   └── FingerprintError
├── BackendError          the language model did not answer
│   ├── BackendAuthError
│   ├── BackendUnavailableError
│   └── BackendTimeoutError
├── PromptError           a prompt file is missing or not filled in completely
├── PortInUseError        the page's port is taken
├── EvaluationStoppedError an evaluation was stopped before its end
├── BusyError             too many ask at once; the next moment may do
├── UsersError            the file of users cannot be used, or has no such user
└── AnswerFileError       a saved answer cannot be read

A message says what is wrong, where, and what to do.
"""

from __future__ import annotations


class CitewiseError(Exception):
    """Base class: its text is shown to people as it is, without a traceback."""


class UsageError(CitewiseError):
    """The arguments of a call are wrong."""


class UnknownBackendError(UsageError):
    """No backend answers to that name."""


class FetchError(CitewiseError):
    """A service of papers refuses, is away, or answers otherwise than it documents."""


class LibraryError(CitewiseError):
    """The library folder cannot be used."""


class NotALibraryError(LibraryError):
    """The folder holds something else."""


class LibraryLockedError(LibraryError):
    """Another process is writing to the library."""


class PaperNotFoundError(LibraryError):
    """No paper has that id."""


class ConversationNotFoundError(LibraryError):
    """No conversation of that user has that id."""


class VectorsAwayError(LibraryError):
    """The server that holds the library's vectors is not named or does not answer."""


class FingerprintError(LibraryError):
    """The library was made with another schema, embedder or passage rule."""


class BackendError(CitewiseError):
    """The language model did not give a usable answer."""


class BackendAuthError(BackendError):
    """The key is missing or refused."""


class BackendUnavailableError(BackendError):
    """The server refuses, fails or cannot be reached."""


class BackendTimeoutError(BackendError):
    """The server took longer than allowed."""


class PromptError(CitewiseError):
    """A prompt file is missing, or a variable of it was not given or not used."""


class PortInUseError(CitewiseError):
    """The port asked for is taken."""


class EvaluationStoppedError(CitewiseError):
    """An evaluation was stopped on request; what was measured so far is kept."""


class BusyError(CitewiseError):
    """Too many ask at once."""


class UsersError(CitewiseError):
    """The file of users cannot be used, or does not know the user."""


class AnswerFileError(CitewiseError):
    """A file of saved answers cannot be read."""
