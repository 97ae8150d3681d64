"""Tests of the command `meddata`."""
