"""Where weights come from, and how they want their input; decided before torch is loaded."""
