"""`python -m energylens.train`."""

from energylens import command
from energylens.train.command import app

if __name__ == "__main__":
    command.main(app, "python -m energylens.train")
