"""The conformance kit: one set of checks that every plugin passes, ours and others'. `eigenwalk.testing` is its API."""
