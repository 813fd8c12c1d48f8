"""What the server of models and the studio share: errors as JSON, and which requests may be answered."""
