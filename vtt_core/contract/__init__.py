"""What app and worker share with the method; standard library only."""
