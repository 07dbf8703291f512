"""Compile loops with numba and kernels with Triton."""
