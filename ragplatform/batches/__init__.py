"""Many questions at once: taken in as a file, answered one by one as there is room, given back."""
