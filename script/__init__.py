"""The commands of the repository, and the checks that they run."""
