"""Label Studio JSON exports."""
