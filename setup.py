"""Compiled part of the package, which is optional; everything else is said in pyproject.toml.

Without a compiler the package installs as well: mg_basicsr/data/kernels.py then does the same in NumPy.
"""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension('mg_basicsr.data._kernels', ['mg_basicsr/data/_kernels.c'], extra_compile_args=['-O3'], optional=True)
    ]
)
