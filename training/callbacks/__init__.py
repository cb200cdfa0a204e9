"""What is called while a run trains: its own loggers, and a user's Keras callbacks."""
