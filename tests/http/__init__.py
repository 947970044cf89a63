"""Tests of the one module that speaks HTTP, on real sockets."""
