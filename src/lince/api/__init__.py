"""What a user can ask of lince, each verb a few lines over the rooms below; loaded when touched."""
