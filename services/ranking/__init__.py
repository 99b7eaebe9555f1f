"""The service of a release: an engine without a web framework, one ASGI application, and its Bento."""
