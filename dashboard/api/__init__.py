"""The REST API below `/bay/api/v1`, and the files of the page."""
