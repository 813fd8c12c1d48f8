"""The HTTP endpoints, one module per subject, each with a FastAPI ``router``.

The middleware has checked access and chosen the language before a route runs. Routes raise ``ApiError`` for whatever
the client can mend; ``app`` turns it into a response. Their docstrings are part of the OpenAPI document.
"""
