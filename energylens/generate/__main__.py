"""`python -m energylens.generate`."""

from energylens import command
from energylens.generate.command import app

if __name__ == "__main__":
    command.main(app, "python -m energylens.generate")
