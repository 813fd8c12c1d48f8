"""Networks: which exist, how they are built, where their weights come from, what they cost."""
