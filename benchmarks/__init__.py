"""The load test of the capture: `make load`, see `benchmarks/README.md`."""
