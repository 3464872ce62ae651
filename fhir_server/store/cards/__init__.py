"""What is kept of cards and links that were handed out."""
