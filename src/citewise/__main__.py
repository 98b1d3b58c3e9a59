"""``python -m citewise``: the command."""

from citewise.cli import main

main()
