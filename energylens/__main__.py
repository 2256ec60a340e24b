"""`python -m energylens COMMAND ...`."""

from energylens.cli import main

main()
