"""The addresses of the studio: one module a subject, each with a router."""
