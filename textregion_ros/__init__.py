"""Ask a robot's camera in words: sentences to masks, boxes and scores."""

import pkgutil

# The generated messages live in the install folder, this module may run from the source folder.
__path__ = pkgutil.extend_path(__path__, __name__)
__version__ = "0.2.0"
