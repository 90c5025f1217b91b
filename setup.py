"""Cython build; everything else stands in pyproject.toml.

``LINECARD_DEBUG=1`` builds with bounds checks, assertions and debug symbols, for the tests of the kernels.
"""

from __future__ import annotations

import os
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("LINECARD_DEBUG") == "1"
FLAGS = ["-O1", "-g", "-UNDEBUG"] if DEBUG else ["-O3"]

extensions = [
    Extension(
        source.removesuffix(".pyx").replace(os.sep, "."),
        [source],
        extra_compile_args=[*FLAGS, "-pthread"],
        extra_link_args=["-pthread"],
        libraries=["m"],
    )
    for source in sorted(glob(os.path.join("codecs_ext", "*.pyx")))
]

setup(
    ext_modules=cythonize(
        extensions,
        # autotestdict adds a __test__ attribute that no stub declares, and stubtest would complain of it.
        compiler_directives={
            "language_level": "3",
            "autotestdict": False,
            "boundscheck": True,
            "embedsignature": True,
            "freethreading_compatible": False,
        },
        force=DEBUG,
    )
)
