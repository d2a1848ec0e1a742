"""What is in a cluster: objects as they are now, and what follows from them. Nothing here asks."""
