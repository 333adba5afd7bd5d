"""One frame per camera, concurrently, with an outcome for every camera."""
