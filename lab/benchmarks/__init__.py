"""The load test of the capture: `make load`, see `lab/benchmarks/README.md`."""
