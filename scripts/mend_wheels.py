"""Mend the ROS 2 wheels of the running interpreter, so that CMake can build messages against them.

The wheels' CMake exports name the Python and numpy headers of the machine they were built on.
"""

import re
import sys
import sysconfig
from pathlib import Path

import numpy

PYTHON_HEADERS = re.compile(r'(?<=[;"])/[^;"]*/include/python3\.\d+(?=[;"])')
NUMPY_HEADERS = re.compile(r'(?<=[;"])/[^;"]*/numpy/_?core/include(?=[;"])')


def mend(text: str) -> str:
    """Return the text of a CMake export with the header folders of this interpreter."""
    text = PYTHON_HEADERS.sub(lambda _: sysconfig.get_path("include"), text)
    return NUMPY_HEADERS.sub(lambda _: numpy.get_include(), text)


def main() -> None:
    """Rewrite the exports under the interpreter's prefix, in place."""
    for path in Path(sys.prefix).glob("share/*/cmake/*.cmake"):
        text = path.read_text(encoding="utf-8")
        mended = mend(text)
        if mended != text:
            path.write_text(mended, encoding="utf-8")


if __name__ == "__main__":
    main()
