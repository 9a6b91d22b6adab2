"""How the bundled demo models are made: scenes, training, report."""
