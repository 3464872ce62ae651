"""The steps of $roster-upload: lines of the file, the people they are about, the members they become."""
