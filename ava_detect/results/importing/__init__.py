"""Import of labels from annotation tools: a reader for each tool, and one function that writes AVA's csv."""
