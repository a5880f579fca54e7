"""The public HTTP cache test suite against the middleware: `make conformance`. See `docs/conformance.md`."""
