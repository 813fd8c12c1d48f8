"""The detector contract, the registry of detectors and their builders."""
