"""Images made by classifiers, as chains that descend an energy."""
