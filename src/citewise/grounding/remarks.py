"""What an answer says of its own layout, which no paper needs to back."""

from __future__ import annotations

NOT_STATED = "not stated in the abstract"
SEE_ABOVE = "see above"
_REMARKS = (NOT_STATED, SEE_ABOVE)


def without_remarks(text: str) -> str:
    """A sentence or a table's row without such remarks: what is left is a claim to be checked."""
    for remark in _REMARKS:
        text = text.replace(remark, " ")
    return " ".join(text.split())
