"""The sections of the benchmark, in the order of the page; each is a module with a `SECTION`."""
