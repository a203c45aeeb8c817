"""A finished run behind a web server: a page to draw on, and an API."""
