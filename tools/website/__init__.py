"""The documentation as a site: pages written in Markdown, pages made from the program, and checks of what was built."""
