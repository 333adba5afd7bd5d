"""A deterministic yard with known truth, a renderer, and ONVIF cameras with faults."""
