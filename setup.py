"""Cython build; everything else stands in pyproject.toml.

``LINECARD_DEBUG=1`` builds for finding faults and not for speed: bounds checks wherever a kernel does not switch them
off itself, and AddressSanitizer and UBSan for the places where it does (.ci/run tests the kernels that way).
``LINECARD_SKIP_BUILD=1`` leaves the modules out: the Makefile builds them itself, in place and only what changed, and
pip would compile all of them a first time into a directory that it throws away.
"""

from __future__ import annotations

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("LINECARD_DEBUG") == "1"
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
COMPILE = ["-O1", "-g", "-UNDEBUG", "-fno-omit-frame-pointer", *SANITIZE] if DEBUG else ["-O3"]
LINK = SANITIZE if DEBUG else []

extensions = [
    Extension(
        ".".join(source.with_suffix("").parts),
        [str(source)],
        include_dirs=["codecs_ext"],
        extra_compile_args=[*COMPILE, "-pthread"],
        extra_link_args=[*LINK, "-pthread"],
        libraries=["m"],
    )
    for source in sorted(Path("codecs_ext").glob("*.pyx"))
    if os.environ.get("LINECARD_SKIP_BUILD") != "1"
]

setup(
    ext_modules=cythonize(
        extensions,
        # The two builds must not find each other's C files up to date.
        build_dir="build/cython-debug" if DEBUG else "build/cython",
        # autotestdict adds a __test__ attribute that no stub declares, and stubtest would complain of it.
        compiler_directives={"language_level": "3", "autotestdict": False, "embedsignature": True},
    ),
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
)
