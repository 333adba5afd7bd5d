"""Coverage-guided fuzzing of everything that reads bytes from a camera, a file or a socket (`make fuzz`)."""
