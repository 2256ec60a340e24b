"""`python -m energylens.models COMMAND`."""

from energylens import command
from energylens.models_command import app

command.main(app, "python -m energylens.models")
