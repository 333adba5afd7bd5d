"""Odd and hostile input by kind: artifacts, cameras, bays' files; `make check-hostile` measures with it."""
